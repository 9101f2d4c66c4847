import { createHash } from 'node:crypto'
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'

/**
 * A registry that throws large blobs away, so that a row shows the client's cost and not a registry's: prints `port N`.
 * A repository has what was pushed to it: small blobs and manifests are kept, a large one is served from the file that
 * holds its bytes anyway (--blob DIGEST=PATH). Digests are not checked.
 */
const { values } = parseArgs({
  options: {
    key: { type: 'string' },
    cert: { type: 'string' },
    /** POST ?digest= takes the blob along. */
    'single-post': { type: 'boolean', default: false },
    blob: { type: 'string', multiple: true, default: [] },
  },
})
const files = new Map(values.blob.map((pair) => pair.split('=') as [string, string]))

/** Up to here a body is kept. */
const KEPT_BYTES = 1024 * 1024
interface Body {
  bytes: number
  /** Undefined once it is too large. */
  content: Buffer | undefined
}
const sessions = new Map<string, Body>()
const contents = new Map<string, Buffer>()
/** repository@digest and repository:tag */
const pushed = new Map<string, { digest: string; type: string }>()

const handler: RequestListener = (request, response) => {
  void route(request, response).catch((error: unknown) => response.destroy(error as Error))
}

async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://sink')
  const [, repository = '', kind, name = ''] = /^\/v2\/(.+)\/(blobs|manifests|tags)\/(.*)$/.exec(url.pathname) ?? []
  if (kind === undefined) return answer(response, 200, {}, '{}')
  if (kind === 'blobs' && name.startsWith('uploads/')) return upload(request, response, { url, repository })
  if (kind === 'manifests' && request.method === 'PUT') return takeManifest(request, response, { repository, name })
  if (kind === 'tags') return answer(response, 200, {}, JSON.stringify({ name: repository, tags: [] }))
  const found = pushed.get(`${repository}@${name}`)
  return found ? send(request, response, found) : answer(response, 404, {}, '{"errors":[]}')
}

async function upload(
  request: IncomingMessage,
  response: ServerResponse,
  { url, repository }: { url: URL; repository: string },
): Promise<void> {
  const digest = url.searchParams.get('digest')
  const id = url.pathname.split('/').at(-1) || Math.random().toString(36).slice(2)
  const body = await receive(request, sessions.get(id))
  sessions.set(id, body)
  const location = `/v2/${repository}/blobs/uploads/${id}`
  const commits = request.method === 'PUT' || (request.method === 'POST' && values['single-post'])
  if (digest !== null && commits) {
    sessions.delete(id)
    if (body.content) contents.set(digest, body.content)
    pushed.set(`${repository}@${digest}`, { digest, type: 'application/octet-stream' })
    return answer(response, 201, { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest })
  }
  if (request.method === 'DELETE') return answer(response, sessions.delete(id) ? 204 : 404)
  // A body that came with a refused single POST is none of the session's.
  if (request.method === 'POST') sessions.set(id, { bytes: 0, content: Buffer.alloc(0) })
  const range = request.method === 'POST' ? '0-0' : `0-${Math.max(0, body.bytes - 1)}`
  return answer(response, request.method === 'GET' ? 204 : 202, { location, range })
}

async function receive(request: IncomingMessage, before: Body | undefined): Promise<Body> {
  let bytes = before?.bytes ?? 0
  const chunks = [before?.content ?? Buffer.alloc(0)]
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= KEPT_BYTES) chunks.push(chunk)
  }
  return { bytes, content: bytes <= KEPT_BYTES ? Buffer.concat(chunks) : undefined }
}

async function takeManifest(
  request: IncomingMessage,
  response: ServerResponse,
  { repository, name }: { repository: string; name: string },
): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const type = request.headers['content-type'] ?? ''
  contents.set(digest, bytes)
  for (const key of [name, digest]) pushed.set(`${repository}@${key}`, { digest, type })
  answer(response, 201, { location: `/v2/${repository}/manifests/${digest}`, 'docker-content-digest': digest })
}

function send(request: IncomingMessage, response: ServerResponse, { digest, type }: { digest: string; type: string }) {
  const content = contents.get(digest)
  const path = files.get(digest)
  if (content === undefined && path === undefined) return answer(response, 404, {}, '{"errors":[]}')
  const size = content?.length ?? statSync(path ?? '').size
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': size - start,
    'content-type': type,
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    ...(start > 0 ? { 'content-range': `bytes ${start}-${size - 1}/${size}` } : {}),
  })
  if (request.method === 'HEAD') response.end()
  else if (content) response.end(content.subarray(start))
  else createReadStream(path ?? '', { start, highWaterMark: KEPT_BYTES }).pipe(response)
}

function answer(response: ServerResponse, status: number, headers: Record<string, string> = {}, body = ''): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body)
}

const { key, cert } = values
const server =
  key && cert ? createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, handler) : createServer(handler)
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`))
