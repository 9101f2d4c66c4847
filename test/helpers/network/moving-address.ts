import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { type Cleanup, defer } from '../cleanup.ts'

/** An address behind which one server takes another's place, as at a fail-over. */
export interface MovingAddress {
  readonly port: number
  /** Of connections that open from now on. */
  moveTo(port: number): void
}

export async function startMovingAddress(t: Cleanup, port: number): Promise<MovingAddress> {
  let target = port
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = createConnection(target, '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    port: (server.address() as AddressInfo).port,
    moveTo(next) {
      target = next
    },
  }
}
