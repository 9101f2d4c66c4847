import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import ipaddr from 'ipaddr.js'
import { bareHost, isLoopback } from '../../../lib/loopback.ts'
import { DIRECT, type Way } from '../../request/registry-way.ts'
import type { ProxyServer } from '../connections/proxied.ts'

/** As HTTP_PROXY, HTTPS_PROXY and NO_PROXY hold them. */
export interface Proxies {
  http?: string
  https?: string
  no?: string
}

/** Whether a request goes past the proxies; `host` without brackets, in lower case. */
type Exception = (host: string, port: string) => boolean

/**
 * Which proxy a request goes through, by its own URL; undefined: none. NO_PROXY says what Go's programs take it to say:
 * `example.com` is that name and all below, `.example.com` and `*.example.com` all below alone; an address, or a range as
 * `10.0.0.0/8`, is for hosts that are written as addresses, as no name is looked up for it; `:port` behind it makes it that
 * port's; `*` is everything. Commas or blanks lie between. What is none of these matches nothing. Loopback never goes through
 * a proxy. https goes through that of HTTP_PROXY where HTTPS_PROXY is not given (undici's rule and not Go's).
 * Source: golang.org/x/net http/httpproxy.
 */
export function proxyChoice({ http, https, no = '' }: Proxies): ProxyChoice {
  const plain = http ? { url: new URL(http), setting: 'HTTP_PROXY' } : undefined
  const secure = https ? { url: new URL(https), setting: 'HTTPS_PROXY' } : plain
  if (!plain && !secure) return () => undefined
  const goesPast = exceptionsOf(no)
  return (url) => {
    const proxy = url.protocol === 'https:' ? secure : plain
    return proxy && !goesPast(url) ? proxy : undefined
  }
}

type ProxyChoice = (url: URL) => ProxyServer | undefined

/**
 * The same for one way. A proxy that is kept for a registry is for whatever its origin is, and `direct` for all that belongs to
 * it; what the registry names goes past its proxy where NO_PROXY says so, and on loopback.
 */
export function proxyFor({ place, proxy, named }: Way, process: Proxies): ProxyChoice {
  if (proxy === undefined) return proxyChoice(process)
  if (proxy === DIRECT) return () => undefined
  const server = { url: new URL(proxy), setting: `${place} proxy` }
  const goesPast = exceptionsOf(process.no ?? '')
  return (url) => (named && goesPast(url) ? undefined : server)
}

function exceptionsOf(no: string): (url: URL) => boolean {
  const exceptions = no
    .split(/[,\s]/)
    .filter((entry) => entry !== '')
    .map(exception)
  return (url) => {
    const host = bareHost(url.hostname)
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    return isLoopback(url.hostname) || exceptions.some((matches) => matches(host, port))
  }
}

function exception(entry: string): Exception {
  const { name, port } = parted(entry)
  const matches = addresses(name) ?? names(name)
  return (host, asked) => (port === undefined || port === asked) && matches(host)
}

/** `name:port`, `[IPv6]:port`, and either without a port. */
function parted(entry: string): { name: string; port?: string } {
  const end = entry.lastIndexOf(':')
  const port = entry.slice(end + 1)
  const before = entry.slice(0, Math.max(end, 0))
  // Several colons are an IPv6 address, whose last part is no port.
  const hasPort = /^\d+$/.test(port) && (before.endsWith(']') || !before.includes(':')) && before !== ''
  const name = (hasPort ? before : entry).replace('[', '').replace(']', '')
  return hasPort ? { name, port } : { name }
}

/** An address or a range of them; undefined where it is neither. */
function addresses(name: string): ((host: string) => boolean) | undefined {
  const [address = '', bits = '128', ...rest] = name.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0 || !/^\d{1,3}$/.test(bits)) return undefined
  // An IPv4 address may be written as an IPv6 one; so may a range of them.
  const start = ipaddr.process(address)
  const whole = start.kind() === 'ipv4' ? 32 : 128
  const length = name.includes('/') ? Number(bits) - (version === 6 ? 128 - whole : 0) : whole
  if (length < 0 || length > whole) return undefined
  return (host) => {
    const asked = isIP(host) === 0 ? undefined : ipaddr.process(host)
    return asked?.kind() === start.kind() && asked.match([start, length] as [ipaddr.IPv4, number])
  }
}

function names(entry: string): (host: string) => boolean {
  if (entry === '*') return () => true
  const name = entry.toLowerCase().replace(/^\*?\./, '')
  const below = name !== entry.toLowerCase()
  const domain = bareHost(domainToASCII(name) || name)
  if (domain === '') return () => false
  return (host) => isIP(host) === 0 && ((!below && host === domain) || host.endsWith(`.${domain}`))
}
