import type { WireHeaders } from '../../content/wire-request.ts'
import { type Challenge, parseChallenges } from '../auth/challenge.ts'
import { HIDDEN } from '../errors/mask.ts'
import type { CallFacts } from '../errors/errors.ts'
import { cutAddress } from './told-address.ts'

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
/** Of a header as it is told. */
export const MAX_HEADER = 500

/** Headers that we made; of a secret its scheme alone. */
export function toldRequestHeaders(headers: Readonly<Record<string, string>>): WireHeaders {
  return SENT.flatMap((name) => {
    const value = headers[name]
    if (value === undefined) return []
    return [[name, name === 'authorization' ? `${value.split(' ', 1)[0]} ${HIDDEN}` : value.slice(0, MAX_HEADER)]]
  })
}

/** Headers that the far end chose, without what is secret by its place; anything else may still be. */
export function answerHeaders(facts: CallFacts, header: (name: string) => string | undefined): WireHeaders {
  return RECEIVED.flatMap((name) => {
    const value = header(name)
    if (value === undefined) return []
    return [[name, SPECIAL[name]?.(facts, value) ?? value]]
  })
}

const SPECIAL: Readonly<Record<string, (facts: CallFacts, value: string) => string>> = {
  location(facts, value) {
    const target = URL.parse(value, facts.url.href)
    return target ? cutAddress(target) : HIDDEN
  },
  'www-authenticate': (_facts, value) => parseChallenges(value).map(challengeText).join(', '),
  // A type that nobody knows may be any text.
  'content-type': (_facts, value) => (MEDIA_TYPE.test(value) ? value : HIDDEN),
}

const MEDIA_TYPE = /^(?:application|text|image|multipart|message)\//i
/** Source: RFC 6750 3.1. */
const CHALLENGE_ERRORS = new Set(['invalid_request', 'invalid_token', 'insufficient_scope'])
const SCHEMES = new Map(['Basic', 'Bearer', 'Digest', 'Negotiate', 'NTLM'].map((name) => [name.toLowerCase(), name]))

/** Of a challenge what the token protocol knows; the rest may be any text. */
function challengeText({ scheme, params }: Challenge): string {
  const realm = params.get('realm')
  const error = params.get('error')
  const url = realm === undefined ? null : URL.parse(realm)
  const told: Array<readonly [string, string | undefined]> = [
    ['realm', url ? cutAddress(url) : realm],
    ['service', params.get('service')],
    ['scope', params.get('scope')],
    ['error', error !== undefined && CHALLENGE_ERRORS.has(error) ? error : undefined],
  ]
  const parts = told.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}="${value.replaceAll('"', "'")}"`],
  )
  return `${SCHEMES.get(scheme) ?? HIDDEN} ${parts.join(',')}`.trimEnd()
}
