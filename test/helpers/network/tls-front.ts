import { type AddressInfo, connect } from 'node:net'
import { createServer } from 'node:tls'
import type { TestCertificate } from './certificate.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { JoinedSockets } from './joined-sockets.ts'

/** Takes TLS off before a server that speaks plain HTTP, as a load balancer does. Returns `127.0.0.1:port`. `clients`: without this certificate nobody is let in. */
export async function startTlsFront(
  t: Cleanup,
  target: string,
  certificate: TestCertificate,
  clients?: TestCertificate,
): Promise<string> {
  const joined = new JoinedSockets()
  const [host, port] = target.split(':')
  const asking = clients ? { ca: clients.certPem, requestCert: true, rejectUnauthorized: true } : {}
  const server = createServer({ key: certificate.keyPem, cert: certificate.certPem, ...asking }, (client) => {
    const far = connect({ host: host ?? '', port: Number(port) })
    client.pipe(far).pipe(client)
    joined.join(client, far)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    joined.destroy()
    return new Promise((resolve) => server.close(() => resolve()))
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
