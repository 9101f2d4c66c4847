import { type Challenge, parseChallenges } from '../auth/challenge.ts'
import { traitsOf } from '../auth/traits.ts'
import { registryKind } from '../facts/registry-kind.ts'
import { parseRetryAfter } from '../errors/retry-after.ts'
import type { RegistryTransport } from '../request/transport.ts'
import { readStart } from '../wire/exchanges/exchange.ts'
import type { Finding, Looked } from './check.ts'

/** What a registry says to who shows nothing of himself. */
export interface EntryAnswer {
  readonly status: number
  readonly url: URL
  readonly header: (name: string) => string | undefined
  readonly challenges: readonly Challenge[]
  /** ms since the epoch, by our clock. */
  readonly receivedAt: number
}

export interface EntryOptions {
  readonly transport: RegistryTransport
  /** A text of the far end, as it may be told. */
  readonly told: (text: string) => string
  /** Whether other checks can still show that it is a registry. */
  readonly repositoryNamed: boolean
  readonly now: () => number
  readonly signal: AbortSignal
}

/** Every status is an answer here. */
export const ANY_STATUS = Array.from({ length: 200 }, (_, index) => 400 + index)
const START_BYTES = 4096

/** GET /v2/ without credentials: what answers there, and how it wants a log-in. oci-client.md P1 to P3. */
export async function entryCheck(options: EntryOptions): Promise<Looked<EntryAnswer>> {
  const { transport, now, signal } = options
  const response = await transport.send(
    {
      method: 'GET',
      target: '/v2/',
      scopes: [],
      lane: 'control',
      op: 'ask /v2/',
      anonymous: true,
      followRedirects: false,
      signal,
    },
    { allow: ANY_STATUS },
  )
  const text = await readStart(response, START_BYTES)
  const header = (name: string) => response.header(name)
  const challenges = parseChallenges(header('www-authenticate'))
  const { status, url } = response
  const answer = { status, url, header, challenges, receivedAt: now() }
  return { ...entryFinding(answer, isPage(header('content-type'), text), options), value: answer }
}

function entryFinding(answer: EntryAnswer, page: boolean, { told, repositoryNamed }: EntryOptions): Finding {
  const { status, challenges } = answer
  const said = `/v2/ answers ${status}`
  if (status === 401) return logInFinding(said, challenges, told)
  if (status === 429) return { state: 'warning', detail: `${said}: it asks to slow down`, hint: SLOW_DOWN }
  if (status >= 500) {
    return { state: 'failed', detail: `${said}: the registry, or what stands before it, is failing`, hint: SEE_ITS_LOG }
  }
  if (status >= 200 && status < 300 && !page) return { state: 'ok', detail: `${said}: it lets everybody in so far` }
  // Registries that serve a namespace of another may lack /v2/, so this alone condemns nobody.
  const state = repositoryNamed ? 'warning' : 'failed'
  const what = page ? 'a web page' : status < 400 ? 'a redirect' : 'no registry by that alone'
  return { state, detail: `${said}, ${what}`, hint: repositoryNamed ? MAY_LACK : NOT_A_REGISTRY }
}

function logInFinding(said: string, challenges: readonly Challenge[], told: (text: string) => string): Finding {
  const ways = challenges.map(({ scheme, params }) => {
    const realm = scheme === 'bearer' ? URL.parse(params.get('realm') ?? '') : null
    const name = scheme.charAt(0).toUpperCase() + scheme.slice(1)
    return realm ? `${name} with tokens of ${told(`${realm.origin}${realm.pathname}`)}` : told(name)
  })
  if (ways.length === 0) {
    return { state: 'warning', detail: `${said} and does not say how to log in`, hint: NO_CHALLENGE }
  }
  const usable = challenges.some(({ scheme }) => scheme === 'basic' || scheme === 'bearer')
  const detail = `${said}: it wants a log-in by ${ways.slice(0, 4).join(' or ')}`
  return usable ? { state: 'ok', detail } : { state: 'failed', detail, hint: ONLY_THESE }
}

function isPage(type: string | undefined, text: string): boolean {
  return /^text\/html\b/i.test(type ?? '') || /^\s{0,100}<(?:!doctype|html)/i.test(text)
}

const SLOW_DOWN = 'Wait a while; docs/operations.md tells how to let fewer jobs run at once.'
const SEE_ITS_LOG = 'Look into the log of the registry and of the proxy before it.'
const MAY_LACK = 'Some registries lack /v2/: whether this is one, the checks of the repository tell.'
const NOT_A_REGISTRY =
  'Check that host and port are those of an OCI registry; a proxy, a login page or a web site answers otherwise. Name a repository to see whether it serves that.'
const NO_CHALLENGE = 'The registry may hide what it has from who shows nothing: name a repository and give credentials.'
const ONLY_THESE = 'layerd knows Basic and Bearer: let the registry offer one of them.'

/** Which registry it is, by what it shows. */
export function kindFinding(answer: EntryAnswer, profile: string, told: (text: string) => string): Finding {
  const { header } = answer
  const kind = registryKind(traitsOf(header))
  const spoken = header('docker-distribution-api-version') === undefined ? '' : ', speaks the registry API v2'
  const server = header('server')
  const from = server === undefined ? '' : `; Server: ${told(server)}`
  const profiled =
    profile === 'unknown' ? 'no profile of its own, as layerd goes by what it does' : `layerd's profile "${profile}"`
  const version = kind?.version === undefined ? '' : ` ${told(kind.version)}`
  const name = kind === undefined ? 'it shows no kind' : `most likely ${kind.name}${version}`
  return { state: 'ok', detail: `${name}${spoken}${from}; ${profiled}` }
}

/** Tokens and certificates are for a time, and tell it by another clock. */
const SKEW_MS = 60_000

export function clockFinding({ header, receivedAt }: EntryAnswer): Finding {
  const theirs = Date.parse(header('date') ?? '')
  if (Number.isNaN(theirs)) return { state: 'skipped', detail: 'its answer has no date' }
  const skewMs = theirs - receivedAt
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  if (Math.abs(skewMs) <= SKEW_MS) return { state: 'ok', detail: `the clocks differ by ${seconds} s at most` }
  return {
    state: 'warning',
    detail: `its clock is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} this machine's`,
    hint: 'Set both by NTP: tokens and certificates seem to have run out, or not to hold yet.',
  }
}

/** Docker Hub's, GitHub's and ACR's, and the draft of the IETF. */
const LIMIT_HEADERS = [
  'ratelimit-limit',
  'ratelimit-remaining',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
  'x-ms-ratelimit-remaining-calls-per-second',
  'ratelimit',
]

export function limitsFinding({ header, status, receivedAt }: EntryAnswer, told: (text: string) => string): Finding {
  const found = LIMIT_HEADERS.flatMap((name) => {
    const value = header(name)
    return value === undefined ? [] : [{ name, value }]
  })
  const waitMs = parseRetryAfter(header('retry-after'), receivedAt)
  const said = found.map(({ name, value }) => `${name}: ${told(value)}`)
  const parts = [...said, ...(waitMs === undefined ? [] : [`retry after ${Math.ceil(waitMs / 1000)} s`])]
  if (parts.length === 0 && status !== 429) return { state: 'ok', detail: 'this answer names no limit' }
  const spent = found.some(({ name, value }) => name.includes('remaining') && /^0(?:\D|$)/.test(value))
  const detail = parts.length === 0 ? 'it names no limit, and refuses for one' : parts.join(', ')
  return spent || status === 429 ? { state: 'warning', detail, hint: SLOW_DOWN } : { state: 'ok', detail }
}
