import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { TestCertificate } from '../network/certificate.ts'
import type { Cleanup } from '../cleanup.ts'
import { listenOnLoopback } from '../network/listening.ts'

export interface ScriptedRequest {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly headers: IncomingMessage['headers']
}

export interface ScriptedServer {
  /** 127.0.0.1:port. */
  readonly host: string
  readonly url: string
  /** Without the probes of the port. */
  readonly requests: ScriptedRequest[]
}

export type Script = (request: IncomingMessage, response: ServerResponse) => void

/**
 * A real HTTP (or HTTPS) server on a free loopback port that answers what the test says; a GET of /v2/ without
 * Authorization, by which clients find scheme and challenge, is answered with 200 (or that challenge), not recorded; with
 * `records` the test answers that too.
 */
export async function startScriptedServer(
  t: Cleanup,
  script: Script,
  options: { tls?: TestCertificate; port?: number; pingChallenge?: string; records?: boolean } = {},
): Promise<ScriptedServer> {
  const requests: ScriptedRequest[] = []
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const { method = '', url = '/', headers } = request
    if (!options.records && method === 'GET' && url === '/v2/' && headers.authorization === undefined) {
      if (options.pingChallenge === undefined) response.end('{}')
      else response.writeHead(401, { 'www-authenticate': options.pingChallenge }).end()
      return
    }
    requests.push({ method, path: url, authorization: headers.authorization, headers })
    script(request, response)
  }
  const server: Server = options.tls
    ? createTlsServer({ key: options.tls.keyPem, cert: options.tls.certPem }, listener)
    : createServer(listener)
  const host = await listenOnLoopback(t, server, options.port)
  return { host, url: `${options.tls ? 'https' : 'http'}://${host}`, requests }
}
