import type { OnReadOpts } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { buildConnector } from 'undici'
import { NO_HOOKS } from '../../request/hooks.ts'
import { askingConnector } from './asking-connector.ts'

/** As undici keeps. */
const MAX_SESSIONS = 100

/** Connectors for one connection each, to an origin, read into buffers of its own. */
export type ConnectorFor = (origin: string, onread: OnReadOpts) => buildConnector.connector

/**
 * All of them resume the newest TLS session that an origin has given any: a full handshake costs a round trip (TLS 1.2) and
 * the checking of certificates. undici keeps sessions too, but each connector its own.
 */
export function createConnectors(options: buildConnector.BuildOptions, hooks = NO_HOOKS): ConnectorFor {
  const sessions = new Map<string, Buffer>()
  const keep = (origin: string, session: Buffer): void => {
    sessions.delete(origin)
    sessions.set(origin, session)
    const [oldest] = sessions.keys()
    if (sessions.size > MAX_SESSIONS && oldest !== undefined) sessions.delete(oldest)
  }
  return (origin, onread) => {
    const session = sessions.get(origin)
    // `onread` is not in undici's types, but handed on to net.connect and tls.connect as all other options.
    const all = { ...options, ...(session ? { session } : {}), onread } as buildConnector.BuildOptions
    const connect = askingConnector(all, hooks)
    return (to, callback) =>
      connect(to, (...answer) => {
        const [error, socket] = answer
        // A session that its server chokes on must not spoil the next handshake too.
        if (error) sessions.delete(origin)
        else if (socket instanceof TLSSocket) socket.on('session', (newest) => keep(origin, newest))
        callback(...answer)
      })
  }
}
