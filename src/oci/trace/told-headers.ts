import type { WireHeaders } from '../../content/wire-request.ts'
import { parseChallenges } from '../auth/challenge.ts'
import { HIDDEN } from '../errors/mask.ts'
import { type CallFacts, toldText } from '../errors/errors.ts'
import { toldAddress } from './told-address.ts'

const SENT = [
  'user-agent',
  'authorization',
  'accept',
  'accept-encoding',
  'content-type',
  'content-length',
  'content-range',
  'range',
]
const RECEIVED = [
  'date',
  'server',
  'via',
  'content-type',
  'content-length',
  'transfer-encoding',
  'content-encoding',
  'content-range',
  'accept-ranges',
  'range',
  'location',
  'www-authenticate',
  'docker-distribution-api-version',
  'docker-content-digest',
  'docker-upload-uuid',
  'oci-chunk-min-length',
  'oci-chunk-max-length',
  'oci-filters-applied',
  'oci-subject',
  'oci-tag',
  'etag',
  'retry-after',
  'ratelimit',
  'ratelimit-policy',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ratelimit-reset',
  'x-ms-ratelimit-remaining-calls-per-second',
  'warning',
  'connection',
  'keep-alive',
  'x-request-id',
  'x-ms-correlation-request-id',
  'x-amzn-requestid',
  'x-amz-cf-id',
  'x-cache',
  'cf-ray',
]
const MAX_LENGTH = 500

/** The secret that an Authorization header shows. */
export function shownIn({ authorization }: Readonly<Record<string, string>>): string[] {
  const value = authorization?.slice(authorization.indexOf(' ') + 1)
  return value ? [value] : []
}

/** Headers that we made; of a secret its scheme alone. */
export function toldRequestHeaders(headers: Readonly<Record<string, string>>): WireHeaders {
  return SENT.flatMap((name) => {
    const value = headers[name]
    if (value === undefined) return []
    return [[name, name === 'authorization' ? `${value.split(' ', 1)[0]} ${HIDDEN}` : value.slice(0, MAX_LENGTH)]]
  })
}

/** Headers that the far end chose. `shown`: secrets that the request showed. */
export function toldAnswerHeaders(
  facts: CallFacts,
  header: (name: string) => string | undefined,
  shown: readonly string[],
): WireHeaders {
  return RECEIVED.flatMap((name) => {
    const value = header(name)
    const told = value === undefined ? undefined : (SPECIAL[name] ?? plain)(facts, value, shown)
    return told === undefined ? [] : [[name, told.slice(0, MAX_LENGTH)]]
  })
}

type Tell = (facts: CallFacts, value: string, shown: readonly string[]) => string | undefined

const plain: Tell = (facts, value, shown) => toldText(facts, value, shown)

const SPECIAL: Readonly<Record<string, Tell>> = {
  location(facts, value, shown) {
    const target = URL.parse(value, facts.url.href)
    return target ? toldAddress(facts, target, shown) : HIDDEN
  },
  'www-authenticate': (facts, value, shown) =>
    parseChallenges(value)
      .map(({ scheme, params }) => toldChallenge(facts, { scheme, params }, shown))
      .join(', '),
  // A type that nobody knows may be any text.
  'content-type': (facts, value, shown) => (MEDIA_TYPE.test(value) ? toldText(facts, value, shown) : HIDDEN),
}

const MEDIA_TYPE = /^(?:application|text|image|multipart|message)\//i
/** Source: RFC 6750 3.1. */
const CHALLENGE_ERRORS = new Set(['invalid_request', 'invalid_token', 'insufficient_scope'])

/** Of a challenge what the token protocol knows; the rest may be any text. */
function toldChallenge(
  facts: CallFacts,
  { scheme, params }: ReturnType<typeof parseChallenges>[number],
  shown: readonly string[],
): string {
  const realm = params.get('realm')
  const url = realm === undefined ? null : URL.parse(realm)
  const error = params.get('error')
  const told: Array<readonly [string, string | undefined]> = [
    ['realm', url ? toldAddress(facts, url, shown) : realm && toldText(facts, realm, shown)],
    ...['service', 'scope'].map((name) => [name, plainParam(facts, params.get(name), shown)] as const),
    ['error', error !== undefined && CHALLENGE_ERRORS.has(error) ? error : undefined],
  ]
  const parts = told.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${value.replaceAll('"', "'")}"`],
  )
  return `${toldText(facts, scheme, shown)} ${parts.join(',')}`.trimEnd()
}

function plainParam(facts: CallFacts, value: string | undefined, shown: readonly string[]): string | undefined {
  return value === undefined ? undefined : toldText(facts, value, shown)
}
