import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Cleanup } from '../cleanup.ts'
import { createCertificate, type TestCertificate } from './certificate.ts'
import { listenOnLoopback } from './listening.ts'

export interface TlsServer {
  /** 127.0.0.1:port. */
  readonly host: string
  readonly url: string
  /** PEM of its certificate, which signed itself. */
  readonly ca: string
  /** `METHOD path`, with the fingerprint of the certificate that the client showed, if any. */
  readonly requests: { readonly line: string; readonly shown: string | undefined }[]
  /** Connections that were made, and how many of them are open. */
  readonly connections: { made: number; open: number }
}

export interface TlsServerOptions {
  /** Clients that show none of this are refused in the handshake. Default: a certificate is asked for, and may be any or none. */
  clients?: TestCertificate
  /** Of its certificate. Default: loopback's. */
  names?: readonly string[]
}

/** An https server of its own CA, which holds connections open for long and asks clients for a certificate. */
export async function startTlsServer(
  t: Cleanup,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  { clients, names }: TlsServerOptions = {},
): Promise<TlsServer> {
  const { keyPem: key, certPem: cert } = createCertificate(names, { commonName: `CA ${randomUUID()}` })
  const requests: TlsServer['requests'] = []
  const connections = { made: 0, open: 0 }
  const asking = clients ? { ca: clients.certPem, rejectUnauthorized: true } : { rejectUnauthorized: false }
  const server = createServer({ key, cert, requestCert: true, ...asking }, (request, response) => {
    const { fingerprint256 } = (request.socket as TLSSocket).getPeerCertificate()
    requests.push({ line: `${request.method} ${request.url}`, shown: fingerprint256 })
    answer(request, response)
  })
  server.keepAliveTimeout = 600_000
  server.on('secureConnection', (socket) => {
    connections.made += 1
    connections.open += 1
    socket.once('close', () => (connections.open -= 1))
  })
  server.on('tlsClientError', () => undefined)
  const host = await listenOnLoopback(t, server)
  return { host, url: `https://${host}`, ca: cert, requests, connections }
}
