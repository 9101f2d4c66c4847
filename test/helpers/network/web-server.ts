import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type Cleanup, defer } from '../cleanup.ts'
import { createCertificate } from './certificate.ts'

const certificate = createCertificate()
setDefaultCACertificates([...getCACertificates('default'), certificate.certPem])

/** Of the server, for processes that are to believe it. */
export const WEB_CERTIFICATE = certificate.certPem

export interface WebFile {
  bytes: Buffer
  etag?: string
  modified?: string
  /** Default true. */
  ranges?: boolean
  /** Beside what is said of every file. */
  headers?: Record<string, string>
  /** Breaks the connection after so many bytes of an answer. */
  cutAfter?: number
  /** How often it does. Default: always. */
  cuts?: number
}

export type WebAnswer = (request: IncomingMessage, response: ServerResponse) => void

export interface WebServer {
  /** https://127.0.0.1:port */
  readonly url: string
  readonly requests: Array<{ path: string; headers: IncomingMessage['headers'] }>
  /** By path: a file as servers offer them, or an answer of one's own. */
  readonly paths: Map<string, WebFile | WebAnswer>
}

/** A web server over TLS as RFC 9110 has it: Range, If-Range, ETag. This process believes its certificate. */
export async function startWebServer(t: Cleanup): Promise<WebServer> {
  const requests: WebServer['requests'] = []
  const paths: WebServer['paths'] = new Map()
  const server = createServer({ key: certificate.keyPem, cert: certificate.certPem }, (request, response) => {
    const path = request.url ?? ''
    requests.push({ path, headers: request.headers })
    const found = paths.get(path)
    if (!found) return void response.writeHead(404).end('none')
    if (typeof found === 'function') return found(request, response)
    giveFile(found, request, response)
  })
  server.on('tlsClientError', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(() => resolve()))
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, paths }
}

function giveFile(file: WebFile, { headers }: IncomingMessage, response: ServerResponse): void {
  const { bytes, etag, modified, ranges = true, cutAfter, cuts = Number.POSITIVE_INFINITY } = file
  const size = bytes.length
  const said = {
    'content-type': 'application/octet-stream',
    ...(etag === undefined ? {} : { etag }),
    ...(modified === undefined ? {} : { 'last-modified': modified }),
    ...file.headers,
  }
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  const condition = headers['if-range']
  const partly = ranges && from !== undefined && (condition === undefined || condition === (etag ?? modified))
  const start = partly ? Number(from) : 0
  if (partly && start >= size) return void response.writeHead(416, { 'content-range': `bytes */${size}` }).end()
  const end = partly && to !== '' ? Math.min(Number(to) + 1, size) : size
  const range = partly ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {}
  response.writeHead(partly ? 206 : 200, { ...said, ...range, 'content-length': String(end - start) })
  const body = bytes.subarray(start, end)
  if (cutAfter === undefined || cuts === 0 || body.length <= cutAfter) return void response.end(body)
  file.cuts = cuts - 1
  response.write(body.subarray(0, cutAfter), () => response.destroy())
}
