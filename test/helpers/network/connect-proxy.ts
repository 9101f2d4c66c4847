import { createServer, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { type Cleanup, defer } from '../cleanup.ts'
import { JoinedSockets } from './joined-sockets.ts'
import { listenOnLoopback } from './listening.ts'

export interface ConnectProxy {
  /** 127.0.0.1:port. */
  readonly host: string
  /** What clients asked to be connected with (`host:port`), in order. */
  readonly tunnels: readonly string[]
}

/** An HTTP proxy on a free loopback port; whatever host a client asks for, its tunnel ends at `target`, or at what it says of `host:port`. */
export async function startConnectProxy(
  t: Cleanup,
  target: string | ((asked: string) => string),
): Promise<ConnectProxy> {
  const tunnels: string[] = []
  const joined = new JoinedSockets()
  const server = createServer((_request, response) => response.writeHead(501).end())
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    const asked = request.url ?? ''
    tunnels.push(asked)
    const [farHost = '', port] = (typeof target === 'string' ? target : target(asked)).split(':')
    const far = connect({ host: farHost, port: Number(port) }, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      far.write(head)
      client.pipe(far).pipe(client)
    })
    joined.join(client, far)
  })
  const host = await listenOnLoopback(t, server)
  defer(t, () => joined.destroy())
  return { host, tunnels }
}
