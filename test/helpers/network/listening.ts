import type { Server as HttpServer } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { type Cleanup, defer } from '../cleanup.ts'

/** Opens a server on loopback, to be closed with all its connections at the end. Returns `127.0.0.1:PORT`; default: a free port. */
export async function listenOnLoopback(t: Cleanup, server: Server | HttpServer, port = 0): Promise<string> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  defer(t, () => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
