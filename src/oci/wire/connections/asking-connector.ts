import { lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import type { HookList } from '../../request/hooks.ts'
import { timed } from './connection-times.ts'
import { withExpiry } from './expired-certificate.ts'

/** `lookup` is handed on to net.connect and tls.connect, as all that undici does not know. Default: the system's. */
export type ConnectOptions = buildConnector.BuildOptions & { lookup?: LookupFunction | undefined }

/**
 * undici's connector, which asks the hooks about each address before it connects to it: those that a name was resolved to
 * at that moment, so that no later answer of the DNS can differ, and literal ones, which are looked up nowhere. The error
 * of a certificate that has expired holds it.
 */
export function askingConnector(options: ConnectOptions, hooks: HookList): buildConnector.connector {
  return withExpiry(timed(asking(options, hooks)), () => asking({ ...options, rejectUnauthorized: false }, hooks))
}

function asking(options: ConnectOptions, hooks: HookList): buildConnector.connector {
  if (!hooks.some((hook) => 'onConnect' in hook)) return buildConnector(options)
  const ask = (hostname: string, address: string): void => {
    for (const hook of hooks) hook.onConnect?.({ hostname, address })
  }
  const connect = buildConnector({ ...options, lookup: askingLookup(ask, options.lookup) })
  return (to, callback) => {
    const literal = to.hostname.replace(/^\[(.*)\]$/, '$1')
    try {
      if (isIP(literal) !== 0) ask(to.hostname, literal)
    } catch (error) {
      return callback(error as Error, null)
    }
    return connect(to, callback)
  }
}

function askingLookup(ask: (hostname: string, address: string) => void, find: LookupFunction = lookup): LookupFunction {
  return (hostname, options, callback) =>
    find(hostname, options, (error, found, family) => {
      if (error) return callback(error, found, family)
      try {
        for (const { address } of Array.isArray(found) ? found : [{ address: found }]) ask(hostname, address)
      } catch (refusal) {
        return callback(refusal as NodeJS.ErrnoException, found, family)
      }
      return callback(null, found, family)
    })
}
