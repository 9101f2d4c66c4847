import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** Told by undici of each request as it writes it, in the same turn in which it has told the request's handler of its start. */
const written = channel('undici:client:sendHeaders')
let waiting: ((socket: Socket) => void) | undefined

written.subscribe((message) => {
  const tell = waiting
  waiting = undefined
  tell?.((message as { socket: Socket }).socket)
})

/** From a request's onRequestStart: tells which socket undici writes it to. A request that ends there is told of nothing. */
export function onceWritten(tell: (socket: Socket) => void): void {
  waiting = tell
  queueMicrotask(() => {
    if (waiting === tell) waiting = undefined
  })
}
