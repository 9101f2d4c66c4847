import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'

/**
 * A registry that throws bytes away and counts them, so that a row shows the client's cost and not a registry's:
 * node sink.ts [KEY CERT] prints `port`, then answers GET /bytes with what it has received. GET of a blob serves FILE
 * (?file=) if it was told one by PUT /serve?file=PATH&digest=D.
 */
let received = 0
let served: { path: string; digest: string; size: number } | undefined

const handler: Parameters<typeof createServer>[1] = (request, response) => {
  const url = new URL(request.url ?? '/', 'http://sink')
  const answer = (status: number, headers: Record<string, string | number> = {}, body = '') => {
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body)
  }
  if (url.pathname === '/bytes') return answer(200, {}, String(received))
  if (url.pathname === '/serve') {
    const path = url.searchParams.get('file') ?? ''
    served = { path, digest: url.searchParams.get('digest') ?? '', size: statSync(path).size }
    return answer(204)
  }
  if (url.pathname === '/v2/') return answer(200, {}, '{}')
  const blob = /\/blobs\/(sha256:[0-9a-f]{64})$/.exec(url.pathname)?.[1]
  if (blob) return blob === served?.digest ? void serve(request.method, response) : answer(404)
  if (url.pathname.includes('/manifests/') && request.method !== 'PUT') return answer(404)
  request.on('data', (chunk: Buffer) => (received += chunk.length))
  request.on('end', () => {
    if (request.method === 'POST') return answer(202, { location: `${url.pathname}session`, range: '0-0' })
    if (request.method === 'PATCH') return answer(202, { location: url.pathname, range: `0-${received}` })
    const digest = url.searchParams.get('digest') ?? url.pathname.split('/').at(-1) ?? ''
    return answer(request.method === 'DELETE' ? 204 : 201, { 'docker-content-digest': digest, location: url.pathname })
  })
}

async function serve(method: string | undefined, response: Parameters<NonNullable<typeof handler>>[1]): Promise<void> {
  if (!served) return
  response.writeHead(200, {
    'content-length': served.size,
    'docker-content-digest': served.digest,
    'content-type': 'application/octet-stream',
  })
  if (method === 'HEAD') return void response.end()
  const file = await open(served.path)
  file.createReadStream({ highWaterMark: 1024 * 1024 }).pipe(response)
}

const [key, cert] = process.argv.slice(2)
const server =
  key && cert ? createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, handler) : createServer(handler)
server.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`))
