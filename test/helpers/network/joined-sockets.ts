import type { Socket } from 'node:net'

/** Two ends of a relay, each of which goes with the other. */
export class JoinedSockets {
  readonly #open = new Set<Socket>()

  join(one: Socket, two: Socket): void {
    for (const [socket, other] of [
      [one, two],
      [two, one],
    ] as const) {
      this.#open.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => other.destroy() && this.#open.delete(socket))
    }
  }

  destroy(): void {
    for (const socket of this.#open) socket.destroy()
  }
}
