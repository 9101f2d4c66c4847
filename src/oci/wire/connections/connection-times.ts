import { Socket } from 'node:net'
import type { buildConnector } from 'undici'
import type { ConnectionTimes, ConnectionUse } from '../../request/hooks.ts'

interface Known {
  readonly id: number
  readonly made: ConnectionTimes
  used: boolean
}

const known = new WeakMap<Socket, Known>()
let count = 0

/** The connector, which keeps how long each part of its work took. */
export function timed(connect: buildConnector.connector): buildConnector.connector {
  return (to, callback) => {
    const startedAt = performance.now()
    let lookedUpAt: number | undefined
    let reachedAt: number | undefined
    const begun: unknown = connect(to, (...answer) => {
      const [, socket] = answer
      // Of a connection that goes through another one both are seen; the first to know it is nearer to it.
      if (socket && !known.has(socket)) {
        const now = performance.now()
        const tcpAt = reachedAt ?? now
        const made = {
          startedAt,
          dns: lookedUpAt === undefined ? undefined : lookedUpAt - startedAt,
          tcp: tcpAt - (lookedUpAt ?? startedAt),
          tls: to.protocol === 'https:' && reachedAt !== undefined ? now - reachedAt : undefined,
        }
        count += 1
        known.set(socket, { id: count, made, used: false })
      }
      callback(...answer)
    })
    // undici's own connector answers with the socket, which its types do not say.
    if (begun instanceof Socket) {
      begun.once('lookup', () => (lookedUpAt = performance.now()))
      if (to.protocol === 'https:') begun.once('connect', () => (reachedAt = performance.now()))
    }
    return begun as undefined
  }
}

/** What there is to tell of the connection of a request that goes out now. */
export function connectionUse(socket: Socket | undefined): ConnectionUse | undefined {
  const found = socket && known.get(socket)
  if (!found) return undefined
  const { id, made, used } = found
  found.used = true
  return used ? { id } : { id, made }
}
