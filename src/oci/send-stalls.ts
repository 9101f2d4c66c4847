import type { Socket } from 'node:net'
import { buildConnector, type Dispatcher, Pool } from 'undici'

/** For networkError. */
export const SEND_STALLED = 'SEND_STALLED'

/**
 * A factory for undici's agents, proxying ones too, whose connections break when the far end takes nothing of what waits
 * in the socket for `idleMs`. undici itself would wait for as long as for an answer.
 */
export function watchedPools(idleMs: number): (origin: string | URL, options: object) => Dispatcher {
  return (origin, options: Pool.Options) => {
    const connect = typeof options.connect === 'function' ? options.connect : buildConnector(options.connect)
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
 * Node's idle time-out begins anew with each write, and sees every byte that the kernel takes; over TLS only whole chunks (1 MiB at most).
 */
function watchSending(socket: Socket, idleMs: number): void {
  socket.setTimeout(idleMs, () => {
    // With nothing to be taken it is the source that is slow, the registry that works, or a connection in reserve.
    if (socket.writableLength === 0) return
    socket.destroy(Object.assign(new Error(`nothing was taken for ${idleMs} ms`), { code: SEND_STALLED }))
  })
}
