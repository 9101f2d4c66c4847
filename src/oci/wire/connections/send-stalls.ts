import type { Socket } from 'node:net'
import { type Dispatcher, Pool } from 'undici'
import type { HookList } from '../../request/hooks.ts'
import { askingConnector } from './asking-connector.ts'
import { timed } from './connection-times.ts'
import { SEND_STALLED } from '../../errors/network-errors.ts'

/** Looks at a socket within the idle limit: so much of it a stall may last longer. */
const LOOKS = 4

/**
 * A factory for undici's agents, proxying ones too, whose connections break when the far end takes nothing of what waits
 * in the socket for `idleMs`. undici itself would wait for as long as for an answer.
 */
export function watchedPools(idleMs: number, hooks: HookList): (origin: string | URL, options: object) => Dispatcher {
  return (origin, options: Pool.Options) => {
    const connect =
      typeof options.connect === 'function' ? timed(options.connect) : askingConnector(options.connect ?? {}, hooks)
    return new Pool(origin, {
      ...options,
      connect: (to, callback) =>
        connect(to, (...answer) => {
          if (answer[1]) watchSending(answer[1], idleMs)
          callback(...answer)
        }),
    })
  }
}

/**
 * Nothing is done while bytes flow: Node's idle time-out begins anew with each write. Once it ends, what the kernel has
 * taken meanwhile tells a slow link from a dead one.
 */
export function watchSending(socket: Socket, idleMs: number): void {
  let before = ''
  let looks = 0
  socket.setTimeout(idleMs / LOOKS).on('timeout', () => {
    // With nothing to be taken it is the source that is slow, the registry that works, or a connection in reserve.
    if (socket.writableLength === 0) return
    const now = `${socket.bytesWritten}-${untaken(socket)}`
    looks = now === before ? looks + 1 : 0
    before = now
    if (looks < LOOKS) socket.setTimeout(idleMs / LOOKS)
    else socket.destroy(Object.assign(new Error(`nothing was taken for ${idleMs} ms`), { code: SEND_STALLED }))
  })
}

/** As Node's sockets hold them; TLS lies over another one, and so does TLS through a proxy of https. */
interface Handle {
  readonly writeQueueSize?: number
  readonly _parent?: Handle
}

/**
 * Bytes that the kernel has not taken. Of a TLS socket Node tells no more than whether a whole chunk (1 MiB) has gone, which
 * is a minute at 17 KB/s; the connection below it, which is no documented interface, knows each byte.
 */
function untaken(socket: Socket): number | undefined {
  let { _handle: handle } = socket as Socket & { _handle?: Handle | null }
  while (handle?._parent) handle = handle._parent
  return handle?.writeQueueSize
}
