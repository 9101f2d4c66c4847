import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, type PeerCertificate } from 'node:tls'
import { errorCode, networkError } from '../errors/network-errors.ts'
import type { Way } from '../request/registry-way.ts'
import { secureContextOf } from '../wire/connections/secure-contexts.ts'
import type { Finding, Looked } from './check.ts'
import type { Route } from './network-checks.ts'
import { factsOf, type RegistryPlace } from './place.ts'

/** What a registry speaks at its port. */
export type Scheme = 'https' | 'http'

/** A certificate that runs out so soon is worth a word. */
const SOON_DAYS = 14
const DAY_MS = 86_400_000

/**
 * What certificate is shown and whether it holds, with all that is wrong with it at once; else whether plain HTTP is spoken
 * there. Nothing of the caller is sent. Throws REGISTRY_TLS for a handshake that was refused.
 */
export async function tlsCheck(
  place: RegistryPlace,
  route: Route,
  { way, signal, now, told }: { way: Way; signal: AbortSignal; now: number; told: (text: string) => string },
): Promise<Looked<Scheme>> {
  const shaken = await handshake(place, route, { way, signal })
  if ('certificate' in shaken) return judged(place, shaken, { now, told })
  const code = errorCode(shaken.error) ?? ''
  if (/ALERT/.test(code)) throw networkError(factsOf(place, 'begin TLS'), shaken.error)
  if (await speaksHttp(place, route, signal)) return inClear(place)
  throw networkError(factsOf(place, 'begin TLS'), shaken.error)
}

interface Handshake {
  readonly certificate: PeerCertificate
  readonly protocol: string | null
  /** Of the chain; undefined where it holds. */
  readonly fault: string | undefined
}

function handshake(
  { host }: RegistryPlace,
  { address, port }: Route,
  { way, signal }: { way: Way; signal: AbortSignal },
): Promise<Handshake | { error: unknown }> {
  return new Promise((resolve) => {
    const name = isIP(host) === 0 ? { servername: host } : {}
    const tls = { ...name, ...secureContextOf(way), rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] }
    const socket = connect({ host: address, port, ...tls })
    endWith(socket, signal)
    socket.once('secureConnect', () => {
      const { authorizationError } = socket as { authorizationError?: Error | string | null }
      const fault = typeof authorizationError === 'string' ? authorizationError : errorCode(authorizationError)
      resolve({ certificate: socket.getPeerCertificate(), protocol: socket.getProtocol(), fault })
      socket.destroy()
    })
    socket.once('error', (error) => resolve({ error }))
    socket.once('close', () => resolve({ error: Object.assign(new Error('closed'), { code: 'ECONNRESET' }) }))
  })
}

function judged(
  { host }: RegistryPlace,
  { certificate, protocol, fault }: Handshake,
  { now, told }: { now: number; told: (text: string) => string },
): Looked<Scheme> {
  const names = namesOf(certificate)
  const shownNames = told(names.slice(0, 4).join(', ') + (names.length > 4 ? ` and ${names.length - 4} more` : ''))
  const issuer = told(partyOf(certificate.issuer))
  const [from, to] = [Date.parse(certificate.valid_from), Date.parse(certificate.valid_to)]
  const what = `${protocol ?? 'TLS'}, certificate for ${shownNames || 'no name'} from ${issuer}, until ${dayOf(to)}`
  const faults: Fault[] = []
  if (to < now) faults.push({ is: `has expired on ${dayOf(to)}`, hint: EXPIRED })
  if (from > now) faults.push({ is: `holds from ${dayOf(from)} on only`, hint: TOO_EARLY })
  if (checkServerIdentity(host, certificate) !== undefined)
    faults.push({ is: `does not name ${host}`, hint: OTHER_NAME })
  if (fault !== undefined && !OWN_WORDS.has(fault)) {
    faults.push({ is: `is signed by nobody that this machine believes (${fault})`, hint: UNTRUSTED })
  }
  if (faults.length > 0) {
    const wrong = faults.map(({ is }) => is).join(', and ')
    return {
      state: 'failed',
      detail: `the certificate ${wrong}: ${what}`,
      hint: faults.map(({ hint }) => hint).join(' '),
    }
  }
  const days = Math.floor((to - now) / DAY_MS)
  const soon: Partial<Finding> =
    days < SOON_DAYS ? { state: 'warning', hint: `It runs out in ${days} days: its operator has to renew it.` } : {}
  return { state: 'ok', detail: what, ...soon, value: 'https' }
}

interface Fault {
  readonly is: string
  readonly hint: string
}

/** What is said of them comes from the certificate itself. */
const OWN_WORDS = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'ERR_TLS_CERT_ALTNAME_INVALID'])
const EXPIRED = "Its operator has to renew it; if the date lies ahead, this machine's clock is wrong."
const TOO_EARLY = "Check this machine's clock."
const OTHER_NAME = 'Use a name that the certificate holds, or let its operator have it made for this one.'
const UNTRUSTED =
  'Give the CA that signed it as "ca" of the registry (layerd login --ca, PUT /v1/registries/{host}), or for all in SSL_CERT_FILE, SSL_CERT_DIR, NODE_EXTRA_CA_CERTS or the system\'s store, and start layerd again.'

function inClear({ plain, loopback }: RegistryPlace): Looked<Scheme> {
  if (!plain) {
    return {
      state: 'failed',
      detail: 'it speaks plain HTTP, not TLS',
      hint: 'Set up TLS there, name the registry in LAYERD_PLAIN_HTTP_REGISTRIES, or say "plainHttp" where the network is yours.',
    }
  }
  if (loopback) return { state: 'ok', detail: 'it speaks plain HTTP, on this machine', value: 'http' }
  return {
    state: 'warning',
    detail: 'it speaks plain HTTP: passwords and packages go over the network in clear',
    hint: 'Set up TLS where others can listen in.',
    value: 'http',
  }
}

const ENOUGH_BYTES = 5

/** Whether the port answers a request in clear as HTTP does. */
function speaksHttp({ url }: RegistryPlace, { address, port }: Route, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: address, port })
    endWith(socket, signal)
    let start = ''
    socket.on('data', (chunk: Buffer) => {
      start += chunk.toString('latin1')
      if (start.length < ENOUGH_BYTES) return
      resolve(start.startsWith('HTTP/'))
      socket.destroy()
    })
    socket.on('error', () => resolve(false))
    socket.once('close', () => resolve(false))
    socket.write(`GET /v2/ HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`)
  })
}

function endWith(socket: Socket, signal: AbortSignal): void {
  const stop = () => socket.destroy()
  signal.addEventListener('abort', stop, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', stop))
}

/** The names and addresses that it holds. Source: RFC 6125; the common name counts where there are no others. */
function namesOf({ subject, subjectaltname }: PeerCertificate): string[] {
  const held = (subjectaltname ?? '')
    .split(', ')
    .filter((name) => name.startsWith('DNS:') || name.startsWith('IP Address:'))
  if (held.length > 0) return held.map((name) => name.slice(name.indexOf(':') + 1))
  return [subject?.CN ?? []].flat()
}

function partyOf(party: PeerCertificate['issuer'] | undefined): string {
  const words = [party?.O, party?.CN].flat().filter((word) => word !== undefined)
  return words.length === 0 ? 'nobody by name' : `"${words.join(', ')}"`
}

function dayOf(time: number): string {
  return Number.isNaN(time) ? 'nobody knows when' : new Date(time).toISOString().slice(0, 10)
}
