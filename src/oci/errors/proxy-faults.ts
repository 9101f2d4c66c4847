import { STATUS_CODES } from 'node:http'
import type { ErrorCode, Retry } from '../../lib/errors.ts'
import { OUTBOUND_REFUSED } from './refused-address.ts'

/** What a connection ends with where a proxy, and not the registry, is why there is none. */
export const PROXY_FAULT = 'PROXY_FAULT'

/** networkError makes an error of it. */
export interface ProxyFault extends Error {
  readonly code: typeof PROXY_FAULT
  readonly kind: { code: ErrorCode; says: string; hint: string; retry: Retry }
}

/** `setting`: the one that names the proxy; its address, which is nobody's who asks for a job, is not told. */
export function unreachableProxy(setting: string, cause: NodeJS.ErrnoException): ProxyFault {
  const code = cause.code ?? cause.name
  const certificate = /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_CERT_)/.test(code)
  const tls = certificate || /^(?:ERR_SSL_|ERR_TLS_|EPROTO)/.test(code)
  if (code === OUTBOUND_REFUSED) return refusedAddress(setting, cause)
  const why = certificate ? 'has a certificate that does not hold' : tls ? 'does not speak TLS' : 'did not answer'
  const hint = certificate
    ? `Give the CA that signed it in ${isKept(setting) ? '"ca" of the registry, ' : ''}SSL_CERT_FILE, SSL_CERT_DIR or NODE_EXTRA_CA_CERTS.`
    : `Check ${setting}: host and port, and http:// or https:// before them.`
  return fault(cause, {
    code: 'REGISTRY_UNREACHABLE',
    says: `cannot be reached: the proxy (${setting}) ${why} (${code})`,
    hint,
    retry: tls ? 'permanent' : 'transient',
  })
}

function refusedAddress(setting: string, cause: Error): ProxyFault {
  return fault(cause, {
    code: 'REGISTRY_NOT_ALLOWED',
    says: `cannot be reached: the proxy (${setting}) may not be contacted`,
    hint: 'Link-local addresses and those where clouds hand out passwords are never contacted.',
    retry: 'permanent',
  })
}

/** One registry's, not the environment's. */
function isKept(setting: string): boolean {
  return setting.startsWith('/')
}

/** An answer that is no tunnel. `schemes`: what its Proxy-Authenticate names. */
export function refusedByProxy(
  setting: string,
  { status, schemes }: { status: number; schemes: string[] },
): ProxyFault {
  const wanted = schemes.length === 0 ? '' : ` (${schemes.join(', ')})`
  return fault(undefined, {
    code: 'REGISTRY_UNREACHABLE',
    says:
      `cannot be reached: the proxy (${setting}) answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd() + wanted,
    ...adviceFor(setting, status),
  })
}

export function pageForTunnel(setting: string): ProxyFault {
  return fault(undefined, {
    code: 'REGISTRY_UNREACHABLE',
    says: `cannot be reached: the proxy (${setting}) answered CONNECT with a page (200, text/html) and no tunnel`,
    hint: `A log-in page of the network answers so, and a web server where a proxy is meant: check ${setting}.`,
    retry: 'permanent',
  })
}

/** The far end of a tunnel speaks no TLS. */
export function noTlsInTunnel(setting: string, cause: NodeJS.ErrnoException): ProxyFault {
  return fault(cause, {
    code: 'REGISTRY_TLS',
    says: `does not speak TLS (${cause.code}) through the proxy (${setting})`,
    hint: `The proxy may have answered by itself, with a page for one: check ${setting}${isKept(setting) ? '' : ' and NO_PROXY'}, and the registry's port; if the registry speaks plain HTTP, name it in LAYERD_PLAIN_HTTP_REGISTRIES.`,
    retry: 'permanent',
  })
}

const PASSING = new Set([408, 425, 429, 500, 502, 503, 504])

function adviceFor(setting: string, status: number): { hint: string; retry: Retry } {
  const retry = PASSING.has(status) ? 'transient' : 'permanent'
  if (status === 407) {
    const form = 'http://user:password@host:port'
    const as = isKept(setting) ? `${form} as ${setting}` : `${setting}=${form}`
    return { retry, hint: `It wants user and password, by Basic: ${as}.` }
  }
  if (status === 403) {
    const past = isKept(setting) ? `say "direct" as ${setting}` : 'name the host in NO_PROXY'
    return { retry, hint: `Its rules keep layerd from this host: change them, or ${past}.` }
  }
  if (PASSING.has(status)) {
    return { retry, hint: 'The proxy could not reach the registry: check the spelling of its host, and its port.' }
  }
  return { retry, hint: `Check that ${setting} names a proxy, and that it opens tunnels (CONNECT) to this port.` }
}

function fault(cause: unknown, kind: ProxyFault['kind']): ProxyFault {
  return Object.assign(new Error(kind.says, { cause }), { code: PROXY_FAULT, kind } as const)
}

/** The schemes that a Proxy-Authenticate names, without what else it says. */
export function proxySchemes(header: string | readonly string[] | undefined): string[] {
  const lines = typeof header === 'string' ? [header] : (header ?? [])
  const words = lines.flatMap((line) => line.split(',')).map((part) => part.trim().split(/\s/)[0] ?? '')
  return [...new Set(words.filter((word) => /^[A-Za-z][A-Za-z0-9-]{0,30}$/.test(word)))].slice(0, 5)
}
