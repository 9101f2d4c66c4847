import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface LinkOptions {
  /** Of each connection in each direction. Default: as fast as it goes. */
  bytesPerSecond?: number
  /** How much later everything arrives. Default 0. */
  latencyMs?: number
}

/** What may be under way in one direction of a connection before its sender is held back. */
const WINDOW_BYTES = 1024 * 1024
/** Parts of a second in which a limited link hands bytes on. */
const SLICES = 20

/** Reads a socket and hands its bytes to `deliver` in order, as late and as slowly as the link says. */
export function carryOver(from: Socket, link: LinkOptions, deliver: (chunk: Buffer) => Promise<void>): Promise<void> {
  const { bytesPerSecond = Infinity, latencyMs = 0 } = link
  let underWay = 0
  let free = 0
  let last = Promise.resolve()

  const until = async (time: number): Promise<void> => {
    const wait = time - performance.now()
    if (wait > 0) await delay(wait)
  }
  const pass = async (chunk: Buffer, due: number): Promise<void> => {
    await until(due)
    const slice = Math.max(1, Math.min(chunk.length, Math.ceil(bytesPerSecond / SLICES)))
    for (let at = 0; at < chunk.length; at += slice) {
      const part = chunk.subarray(at, at + slice)
      free = Math.max(free, performance.now()) + (part.length / bytesPerSecond) * 1000
      await until(free)
      await deliver(part)
    }
    underWay -= chunk.length
    from.resume()
  }
  return new Promise((resolve) => {
    from.on('data', (chunk: Buffer) => {
      underWay += chunk.length
      if (underWay >= WINDOW_BYTES) from.pause()
      const due = performance.now() + latencyMs
      last = last.then(() => pass(chunk, due))
    })
    from.once('end', () => resolve(last))
    from.once('close', () => resolve(last))
  })
}

/** Resolves when the kernel has the bytes, or the socket is gone. */
export function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (bytes.length === 0 || !socket.writable) return resolve()
    socket.write(bytes, () => resolve())
  })
}
