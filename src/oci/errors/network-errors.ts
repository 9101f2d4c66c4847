import type { PeerCertificate } from 'node:tls'
import { AppError, type AppErrorOptions, type ErrorCode, type Retry } from '../../lib/errors.ts'
import { type CallFacts, toldHost, upstreamOf } from './errors.ts'
import { notAllowed } from './not-allowed.ts'
import { PROXY_FAULT, type ProxyFault } from './proxy-faults.ts'
import { OUTBOUND_REFUSED } from './refused-address.ts'

/** What a connection breaks with that takes nothing any more. */
export const SEND_STALLED = 'SEND_STALLED'

interface Kind {
  code: ErrorCode
  /** After "push blob: registry.example …". */
  says: string
  hint?: string
  /** Default: the code's. */
  retry?: Retry
}

const UNREACHABLE: Kind = {
  code: 'REGISTRY_UNREACHABLE',
  says: 'cannot be reached',
  hint: 'Check host, port and network, and that the registry is up.',
}
const LOST: Kind = { code: 'REGISTRY_CONNECTION_LOST', says: 'broke the connection' }
const TIMEOUT: Kind = { code: 'REGISTRY_TIMEOUT', says: 'did not answer in time' }
const CODED: Kind = {
  code: 'REGISTRY_PROTOCOL_VIOLATION',
  says: 'answered with a Content-Encoding that was not asked for and cannot be read',
  hint: 'A proxy before the registry compresses: turn that off there for /v2/.',
}
const AMBIGUOUS: Kind = {
  code: 'REGISTRY_PROTOCOL_VIOLATION',
  says: 'answered with a body whose end nobody can tell (Content-Length and Transfer-Encoding do not fit)',
  hint: 'A proxy or web server before the registry adds one of these headers: it has to leave one out.',
}
const NOT_HTTP: Kind = {
  code: 'REGISTRY_PROTOCOL_VIOLATION',
  says: 'does not speak HTTP as a registry does',
  hint: 'Another program listens there: check that the port is that of an OCI registry.',
}

const KINDS: Readonly<Record<string, Kind>> = {
  ENOTFOUND: {
    code: 'REGISTRY_UNKNOWN_HOST',
    says: 'is not a known host',
    hint: 'Check the spelling of the registry host, and the DNS of this machine.',
  },
  EAI_AGAIN: { ...UNREACHABLE, says: 'cannot be looked up now (DNS)', hint: 'Check the DNS of this machine.' },
  ECONNREFUSED: { ...UNREACHABLE, says: 'refused the connection' },
  EHOSTUNREACH: UNREACHABLE,
  ENETUNREACH: UNREACHABLE,
  EHOSTDOWN: UNREACHABLE,
  ENETDOWN: UNREACHABLE,
  EADDRNOTAVAIL: UNREACHABLE,
  UND_ERR_CONNECT_TIMEOUT: { ...UNREACHABLE, says: 'did not take the connection in time' },
  UND_ERR_HEADERS_TIMEOUT: TIMEOUT,
  [SEND_STALLED]: { code: 'REGISTRY_TIMEOUT', says: 'stopped taking what was sent' },
  UND_ERR_BODY_TIMEOUT: { code: 'REGISTRY_TIMEOUT', says: 'stopped sending' },
  // The far end's reset and its early answer race (undici gives the reset then), so this never means "refused".
  UND_ERR_SOCKET: LOST,
  ECONNRESET: LOST,
  ECONNABORTED: LOST,
  EPIPE: LOST,
  ETIMEDOUT: LOST,
  UND_ERR_INFO: LOST,
  UND_ERR_ABORTED: LOST,
  ABORT_ERR: LOST,
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: LOST,
  ERR_STREAM_PREMATURE_CLOSE: LOST,
  HPE_INVALID_CONTENT_ENCODING: CODED,
  HPE_INVALID_FRAMING: AMBIGUOUS,
  HPE_INVALID_TRANSFER_ENCODING: AMBIGUOUS,
  HPE_INVALID_CONTENT_LENGTH: AMBIGUOUS,
  HPE_UNEXPECTED_CONTENT_LENGTH: AMBIGUOUS,
  UND_ERR_HEADERS_OVERFLOW: NOT_HTTP,
  UND_ERR_RES_EXCEEDED_MAX_SIZE: { code: 'REGISTRY_PROTOCOL_VIOLATION', says: 'sent a longer answer than is read' },
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: {
    code: 'SIZE_MISMATCH',
    says: 'was sent content of another size than promised',
  },
  UND_ERR_CLOSED: { code: 'SHUTTING_DOWN', says: 'is no longer called: layerd is shutting down' },
  UND_ERR_DESTROYED: { code: 'SHUTTING_DOWN', says: 'is no longer called: layerd is shutting down' },
}

const TLS_CODE =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|EPROTO)/
const CERTIFICATE_CODE =
  /^(?:CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|ERR_TLS_CERT_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/

/** The error for a request that got no answer, or whose answer broke off. Errors that are already ours stay as they are. */
export function networkError(facts: CallFacts, thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown
  const code = errorCode(thrown)
  const host = toldHost(facts)
  // It names the host too.
  const cause = host === facts.url.host ? thrown : undefined
  if (code === OUTBOUND_REFUSED) return notAllowed(facts, facts.url, thrown)
  const kind = kindOf(thrown, code)
  if (kind === undefined) {
    return new AppError('INTERNAL', `${facts.op}: the request to ${host} could not be made`, {
      op: facts.op,
      upstream: upstreamOf(facts),
      cause,
    })
  }
  const options: AppErrorOptions = { op: facts.op, upstream: upstreamOf(facts), cause }
  const hint =
    namespaceHint(facts, kind) ?? kind.hint ?? (closedAfterHandshake(facts, code) ? NO_ANSWER_OVER_TLS : undefined)
  if (hint !== undefined) options.hint = hint
  if (kind.retry !== undefined) options.retry = kind.retry
  if (code !== undefined) options.details = { networkCode: code }
  // The DNS's definite no (a passing fault is EAI_AGAIN), unless we have been there before.
  if (kind.code === 'REGISTRY_UNKNOWN_HOST' && facts.reached) options.retry = 'transient'
  return new AppError(kind.code, `${facts.op}: ${host} ${kind.says}`, options)
}

/** Docker's short names leave the registry out, and ours don't: `oci://team/name` is the registry `team`. */
function namespaceHint({ registry }: CallFacts, { code }: Kind): string | undefined {
  if (code !== 'REGISTRY_UNKNOWN_HOST' || /[.:]/.test(registry)) return undefined
  return `"${registry}" is taken for the registry's host. If it is a namespace, name the registry before it, such as docker.io/${registry}.`
}

/** TLS 1.3 knows of a missing client certificate only when the handshake is over, and many servers just close then. */
function closedAfterHandshake(facts: CallFacts, code: string | undefined): boolean {
  return code === 'UND_ERR_SOCKET' && facts.url.protocol === 'https:' && facts.reached === false
}

const NO_ANSWER_OVER_TLS =
  'It took the TLS connection and closed it without an answer: it may want a client certificate ("clientCertificate" of the registry: layerd login --client-cert, PUT /v1/registries/{host}), or be starting up.'

/** TLS was spoken there: its certificate or a handshake alert is what stands in the way. */
export function isTlsRefusal(code: string | undefined): boolean {
  return code !== undefined && (CERTIFICATE_CODE.test(code) || ALERT_CODE.test(code))
}

const ALERT_CODE = /^ERR_SSL_.*ALERT/
/** TLS 1.3 has an alert of its own for it; before, it is "handshake failure" (Node, Go, nginx) or "bad certificate". */
const CERTIFICATE_ALERT = /ALERT_(?:CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|NO_CERTIFICATE)/

/** The code that tells most: of an error, else of what caused it. Several failed addresses come as one AggregateError. */
export function errorCode(thrown: unknown): string | undefined {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1) {
    const code = (error as NodeJS.ErrnoException).code
    if (typeof code === 'string' && !(error instanceof AppError)) return code
    // undici names only some of the parser's complaints.
    if (error.name === 'HTTPParserError') return 'HPE_UNKNOWN'
    if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0])
  }
  return undefined
}

function kindOf(thrown: unknown, code: string | undefined): Kind | undefined {
  if (code === undefined) return undefined
  if (code === PROXY_FAULT) return (thrown as ProxyFault).kind
  if (code === 'ETIMEDOUT' && isConnect(thrown)) return UNREACHABLE
  // A record broken on the way is the line's fault, not the certificate's.
  if (code.includes('BAD_RECORD_MAC')) return LOST
  if (TLS_CODE.test(code)) return tlsKind(code, thrown)
  return KINDS[code] ?? (code.startsWith('HPE_') ? NOT_HTTP : undefined)
}

function isConnect(thrown: unknown): boolean {
  return thrown instanceof AggregateError || (thrown as NodeJS.ErrnoException).syscall === 'connect'
}

function tlsKind(code: string, thrown: unknown): Kind {
  if (code === 'CERT_HAS_EXPIRED') return { ...BAD_CERTIFICATE, ...expired(thrown) }
  if (CERTIFICATE_CODE.test(code)) {
    return { ...BAD_CERTIFICATE, says: `has a certificate that does not hold (${code})` }
  }
  if (CERTIFICATE_ALERT.test(code))
    return { code: 'REGISTRY_TLS', says: `refused the handshake (${code})`, hint: NO_CERTIFICATE }
  if (ALERT_CODE.test(code)) return { code: 'REGISTRY_TLS', says: `refused the handshake (${code})`, hint: UNFIT_TLS }
  return {
    code: 'REGISTRY_TLS',
    says: `does not speak TLS (${code})`,
    hint: 'If it speaks plain HTTP, name it in LAYERD_PLAIN_HTTP_REGISTRIES or set "options.plainHttp"; else check that the port is that of an OCI registry.',
  }
}

const BAD_CERTIFICATE = {
  code: 'REGISTRY_TLS',
  hint: 'Give the CA that signed it as "ca" of the registry (layerd login --ca, PUT /v1/registries/{host}), or for all in SSL_CERT_FILE, SSL_CERT_DIR or NODE_EXTRA_CA_CERTS, or put it into the system\'s store, and start layerd again; check the host name and the clock.',
} as const
const NO_CERTIFICATE =
  'It most likely wants a client certificate, or another one than it was shown: give it as "clientCertificate" of the registry (layerd login --client-cert, PUT /v1/registries/{host}).'
const UNFIT_TLS = 'Its TLS versions, ciphers or names do not fit ours (1.2 and 1.3): check how it is set up.'

/** The day a certificate ran out, where the connection had a look at it (`cert`, as Node gives it with other refusals). */
function expiryOf(thrown: unknown): string | undefined {
  const until = Date.parse((thrown as { cert?: PeerCertificate }).cert?.valid_to ?? '')
  return until < Date.now() ? new Date(until).toISOString().slice(0, 10) : undefined
}

function expired(thrown: unknown): { says: string; hint: string } {
  const until = expiryOf(thrown)
  return {
    says: `has a certificate that has expired${until === undefined ? '' : ` (on ${until})`}`,
    hint: "Its operator has to renew it; if the date lies ahead, this machine's clock is wrong.",
  }
}
