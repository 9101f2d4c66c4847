import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type Cleanup, defer } from './cleanup.ts'

export interface ConnectProxy {
  /** 127.0.0.1:port. */
  readonly host: string
  /** What clients asked to be connected with (`host:port`), in order. */
  readonly tunnels: readonly string[]
}

/** An HTTP proxy on a free loopback port; whatever host a client asks for, its tunnel ends at `target`. */
export async function startConnectProxy(t: Cleanup, target: string): Promise<ConnectProxy> {
  const tunnels: string[] = []
  const open = new Set<Socket>()
  const [host, port] = target.split(':')
  const server = createServer((_request, response) => response.writeHead(501).end())
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    tunnels.push(request.url ?? '')
    const far = connect({ host: host ?? '', port: Number(port) }, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      far.write(head)
      client.pipe(far).pipe(client)
    })
    for (const [socket, other] of [
      [client, far],
      [far, client],
    ] as const) {
      open.add(socket)
      socket.on('error', () => undefined)
      socket.once('close', () => other.destroy() && open.delete(socket))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    for (const socket of open) socket.destroy()
    server.closeAllConnections()
    return new Promise((resolve) => server.close(() => resolve()))
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, tunnels }
}
