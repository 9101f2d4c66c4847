import type { SecureContext } from 'node:tls'
import { type Agent, type Dispatcher, Pool, ProxyAgent } from 'undici'
import {
  noTlsInTunnel,
  pageForTunnel,
  proxySchemes,
  refusedByProxy,
  unreachableProxy,
} from '../../errors/proxy-faults.ts'
import type { HookList } from '../../request/hooks.ts'
import { askingConnector } from './asking-connector.ts'

export interface ProxyServer {
  /** With its user and password. */
  readonly url: URL
  /** The setting that names it, for errors. */
  readonly setting: string
}

export interface ProxiedOptions {
  /** For the proxy's connection, TLS with it, and its answer to CONNECT. */
  connectMs: number
  /** Of the sockets to the proxy, and of what is spoken to the target through them. */
  toProxy: SocketOptions
  /** Asked about the addresses of a proxy that no setting names. */
  proxyHooks: HookList
  toTarget: SocketOptions
  factory: NonNullable<Agent.Options['factory']>
}

interface SocketOptions {
  keepAlive: boolean
  keepAliveInitialDelay: number
  secureContext?: SecureContext
}

/** Connections to hosts of `protocol` through a proxy: tunnels for https, for http requests that the proxy makes itself. */
export function proxied(protocol: string, proxy: ProxyServer, options: ProxiedOptions): Dispatcher {
  return protocol === 'https:' ? tunnels(proxy, options) : forwarding(proxy, options)
}

/** Source: RFC 9110 9.3.6. */
function tunnels(
  { url, setting }: ProxyServer,
  { connectMs, toProxy, proxyHooks, toTarget, factory }: ProxiedOptions,
): Dispatcher {
  const connect = askingConnector({ timeout: connectMs, ...toProxy, allowH2: false }, proxyHooks)
  return new ProxyAgent({
    uri: url.href,
    allowH2: false,
    connectTimeout: connectMs,
    proxyTls: toProxy,
    requestTls: toTarget,
    // The request for a tunnel; undici would wait for its answer for five minutes.
    clientFactory: (origin, asked) =>
      asking(new Pool(origin, { ...asked, connect, headersTimeout: connectMs }), setting),
    factory: (origin, asked: Pool.Options) =>
      factory(origin, { ...asked, ...told(asked.connect, (error) => insideTunnel(setting, error)) }),
  })
}

/** The connections to a proxy; what is no tunnel is told as the proxy's doing, as undici tells it as a request's end. */
function asking(pool: Pool, setting: string): Pool {
  const connect: (options: Dispatcher.ConnectOptions) => Promise<Dispatcher.ConnectData> = pool.connect.bind(pool)
  const asked = async (options: Dispatcher.ConnectOptions): Promise<Dispatcher.ConnectData> => {
    const answer = await connect(options).catch((error: NodeJS.ErrnoException) => {
      throw isClosing(error) ? error : unreachableProxy(setting, error)
    })
    const { statusCode: status, headers, socket } = answer
    const page = status === 200 && /^text\/html\b/i.test(String(headers['content-type'] ?? ''))
    if (status === 200 && !page) return answer
    socket.on('error', () => undefined).destroy()
    throw page
      ? pageForTunnel(setting)
      : refusedByProxy(setting, { status, schemes: proxySchemes(headers['proxy-authenticate']) })
  }
  return Object.assign(pool, { connect: asked })
}

function insideTunnel(setting: string, error: NodeJS.ErrnoException): Error {
  const { code = '' } = error
  // A certificate or an alert of TLS is the registry's own word; a broken record is the line's fault.
  const own = code.includes('ALERT') || code.includes('BAD_RECORD_MAC')
  return /^(?:ERR_SSL_|EPROTO)/.test(code) && !own ? noTlsInTunnel(setting, error) : error
}

/** Source: RFC 9112 3.2.2. undici's ProxyAgent makes a mistake of its caller's of a 407. */
function forwarding(
  { url, setting }: ProxyServer,
  { connectMs, toProxy, proxyHooks, factory }: ProxiedOptions,
): Dispatcher {
  const connect = askingConnector({ timeout: connectMs, ...toProxy, allowH2: false }, proxyHooks)
  const pool = factory(
    url.origin,
    told(connect, (error) => unreachableProxy(setting, error)),
  )
  const shown = url.username === '' ? {} : { 'proxy-authorization': basic(url) }
  return pool.compose((dispatch) => (asked, handler) => {
    const origin = new URL(asked.origin ?? '')
    const start = handler.onResponseStart?.bind(handler)
    handler.onResponseStart = (controller, status, headers, text) => {
      if (status !== 407) return start?.(controller, status, headers, text)
      return controller.abort(refusedByProxy(setting, { status, schemes: proxySchemes(headers['proxy-authenticate']) }))
    }
    const headers = { ...(asked.headers as Record<string, string>), ...shown, host: origin.host }
    const path = `${origin.origin}${asked.path}`
    // A proxy that speaks TLS shows its own name's certificate, not the target's.
    const servername = url.protocol === 'https:' ? { servername: url.hostname } : {}
    return dispatch({ ...asked, origin: url.origin, path, headers, ...servername }, handler)
  })
}

function basic({ username, password }: URL): string {
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(pair).toString('base64')}`
}

/** A connector that says of its failures what `say` makes of them. */
function told(connect: Pool.Options['connect'], say: (error: Error) => Error): Pick<Pool.Options, 'connect'> {
  if (typeof connect !== 'function') throw new Error('undici connects through a proxy by a function')
  return {
    connect: (to, callback) =>
      connect(to, (...answer) => {
        const [error] = answer
        return error && !isClosing(error) ? callback(say(error), null) : callback(...answer)
      }),
  }
}

/** Our own doing: the connections are closed with the process. */
function isClosing({ code }: NodeJS.ErrnoException): boolean {
  return code === 'UND_ERR_CLOSED' || code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_ABORTED'
}
