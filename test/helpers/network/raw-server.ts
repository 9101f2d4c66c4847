import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type Cleanup, defer } from '../cleanup.ts'

export interface RawRequest {
  readonly method: string
  readonly target: string
  readonly head: string
  readonly body: string
  /** Which connection brought it, from 1, and which request of that connection it is. */
  readonly connection: number
  readonly nth: number
}

export interface RawServer {
  /** 127.0.0.1:port. */
  readonly host: string
  readonly requests: RawRequest[]
  /** Connections that brought a request. */
  readonly connections: number
  /** How many of these are open now. */
  readonly open: number
}

/**
 * A far end that is told byte by byte what to send, on a free loopback port. GETs of /v2/, by which clients find the
 * scheme, are answered and not recorded; a TLS greeting is hung up on.
 */
export async function startRawServer(
  t: Cleanup,
  answer: (socket: Socket, request: RawRequest) => void,
): Promise<RawServer> {
  const requests: RawRequest[] = []
  const sockets = new Set<Socket>()
  const used = new Set<Socket>()
  let connections = 0

  const serve = (socket: Socket): void => {
    let unread = ''
    let nth = 0
    let connection = 0
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket) && used.delete(socket))
    socket.on('data', (bytes) => {
      unread += bytes.toString('latin1')
      if (unread.startsWith('\u0016')) socket.destroy()
      for (;;) {
        const end = unread.indexOf('\r\n\r\n')
        if (end < 0) return
        const head = unread.slice(0, end)
        const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
        if (unread.length < end + 4 + length) return
        const body = unread.slice(end + 4, end + 4 + length)
        unread = unread.slice(end + 4 + length)
        const [method = '', target = ''] = head.split(' ')
        if (method === 'GET' && target === '/v2/') {
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')
          continue
        }
        if (nth === 0) connection = connections += 1
        used.add(socket)
        nth += 1
        const request = { method, target, head, body, connection, nth }
        requests.push(request)
        answer(socket, request)
      }
    })
  }
  const server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(() => resolve()))
  })
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    host,
    requests,
    get connections() {
      return connections
    },
    get open() {
      return used.size
    },
  }
}
