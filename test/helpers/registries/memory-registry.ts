import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type Answer, errorAnswer, type RecordedRequest } from './memory-registry-exchange.ts'
import { type Fault, type FaultMatch, type FaultRule, findFault, throughFault } from './memory-registry-faults.ts'
import { createManifestStore, type ManifestStore } from './memory-registry-manifests.ts'
import { createUploadStore, type SessionSemantics } from './memory-registry-uploads.ts'

/**
 * A registry in this process, on a free port of 127.0.0.1: OCI distribution-spec v1.1.1 as docker-registry 2.8.2 and
 * distribution 3.1.1 speak it (test/contract/registry.test.ts holds all three to one suite), with faults on demand.
 */
export interface MemoryRegistryOptions {
  /** Default 'dist3': a cut upload keeps its bytes. 'dist2.8': a cut upload can't be used any more. */
  sessions?: SessionSemantics
  /** Basic authentication, as htpasswd gives it. Default none. */
  basic?: { username: string; password: string }
  /** Decides about each request in place of `basic`: undefined lets it in, else it is the answer. */
  authorize?: (request: IncomingMessage) => Answer | undefined
  /** Default true. False answers every blob GET with 200 and the whole blob. */
  ranges?: boolean
  /** Takes POST ?digest= with the blob in it, as zot does. Default false: 202, the body thrown away, as distribution does. */
  singlePost?: boolean
  /**
   * Links blobs of other repositories. Default true, of the one that is named; 'anywhere' of whichever has it, as zot does;
   * false answers 202 with a session.
   */
  mount?: boolean | 'anywhere'
  /** Takes an index whose manifests are not there, which distribution refuses. Default false. */
  danglingIndexes?: boolean
  /** Takes artifact manifests, which distribution refuses, and checks their blobs. Default false. */
  artifactManifests?: boolean
  /** A front end takes each body before the registry sees it, and answers 413 to larger ones. */
  maxBodyBytes?: number
  /** What Location looks like. Default 'absolute', as distribution does. */
  locations?: 'absolute' | 'relative'
  /** Default any free one. */
  port?: number
}

export interface MemoryRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly url: string
  readonly requests: RecordedRequest[]
  readonly manifests: ManifestStore
  /** Sessions that were opened and neither finished nor canceled. */
  readonly openSessions: number
  /** The same, with the bytes that each has got. */
  sessions(): ReadonlyArray<{ id: string; bytes: number }>
  /** Of clients; at 0 whatever they had sent was done. */
  readonly connections: number
  blob(repository: string, digest: string): Buffer | undefined
  putBlob(repository: string, bytes: Buffer, digest?: string): string
  deleteBlob(repository: string, digest: string): void
  /** The next request that matches (the `nth`, `times` in a row) meets the fault, until the returned function is called. */
  fail(match: FaultMatch, fault: Fault): () => void
  close(): Promise<void>
}

export async function startMemoryRegistry(options: MemoryRegistryOptions = {}): Promise<MemoryRegistry> {
  const requests: RecordedRequest[] = []
  const rules: FaultRule[] = []
  const uploads = createUploadStore({
    semantics: options.sessions ?? 'dist3',
    ranges: options.ranges ?? true,
    singlePost: options.singlePost ?? false,
    mount: options.mount ?? true,
    relative: options.locations === 'relative',
  })
  const manifests = createManifestStore({
    hasBlob: (repository, digest) => uploads.blob(repository, digest) !== undefined,
    paging: options.sessions !== 'dist2.8',
    danglingIndexes: options.danglingIndexes ?? false,
    artifactManifests: options.artifactManifests ?? false,
  })
  const sockets = new Set<Socket>()

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`)
    const record: RecordedRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      bodyBytes: 0,
      status: undefined,
    }
    requests.push(record)
    const fault = findFault(rules, record)
    const io = throughFault(fault, request, response, record)
    if (fault?.kind === 'hold') await fault.until
    if (fault?.kind === 'answer') {
      if (fault.early !== true) for await (const _ of io.body) void _
      return io.answer(fault)
    }
    const body = await frontEnd(io.body, options.maxBodyBytes)
    if (!body) return io.answer({ status: 413, body: '<html>413 Request Entity Too Large</html>' })
    const refused = options.authorize ? options.authorize(request) : checkBasic(request, options.basic)
    const answer =
      refused ??
      (await uploads.handle(record, url, body)) ??
      (await manifests.handle(record, body)) ??
      (url.pathname === '/v2/'
        ? { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' }
        : undefined)
    for await (const _ of body) void _
    io.answer(answer ?? { status: 404, body: '404 page not found\n' })
  }

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => {
      // A cut request has nobody left to answer; anything else is this helper's own mistake and must be seen.
      if (response.destroyed || request.destroyed || response.headersSent) return
      response.writeHead(500).end(String(error))
    })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`

  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })

  return {
    host,
    url: `http://${host}`,
    requests,
    manifests,
    get openSessions() {
      return uploads.openSessions.length
    },
    sessions: () => uploads.openSessions,
    get connections() {
      return sockets.size
    },
    blob: (repository, digest) => uploads.blob(repository, digest),
    putBlob: (repository, bytes, digest) => uploads.putBlob(repository, bytes, digest),
    deleteBlob: (repository, digest) => uploads.deleteBlob(repository, digest),
    fail(match, fault) {
      const rule = { match, fault, seen: 0 }
      rules.push(rule)
      return () => void rules.splice(rules.indexOf(rule), 1)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** The body as it goes on; undefined when it is too large. */
async function frontEnd(body: AsyncIterable<Buffer>, maxBytes?: number): Promise<AsyncIterable<Buffer> | undefined> {
  if (maxBytes === undefined) return body
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size <= maxBytes) chunks.push(Buffer.from(chunk))
  }
  return size <= maxBytes ? Readable.from(chunks) : undefined
}

function checkBasic(request: IncomingMessage, basic: MemoryRegistryOptions['basic']): Answer | undefined {
  if (!basic) return undefined
  const expected = `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}`
  if (request.headers.authorization === expected) return undefined
  return {
    ...errorAnswer(401, 'UNAUTHORIZED', 'authentication required'),
    headers: { 'content-type': 'application/json', 'www-authenticate': 'Basic realm="Registry Realm"' },
  }
}
