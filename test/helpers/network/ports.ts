import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/**
 * A loopback TCP port that was free a moment ago. Only for programs that can't listen on port 0 and tell which they
 * got: another process may take it in between.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer()
  server.listen(0, host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  server.close()
  await once(server, 'close')
  return address.port
}

/** Whether something takes connections there. */
export function listens(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    const socket = connect({ port, host }, () => settle(true))
    socket.once('error', () => settle(false))
  })
}
