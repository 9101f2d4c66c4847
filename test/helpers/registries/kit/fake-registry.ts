import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type Cleanup, defer } from '../../cleanup.ts'
import { startTokenServer, type TokenServer } from '../token-server.ts'
import { createAccess, repositoryOf } from './access.ts'
import { type BlobStore, bytesAnswer, createBlobStore, etagOf } from './blobs.ts'
import {
  type Answer,
  type Exchange,
  type Origin,
  type RecordedRequest,
  type Refusal,
  refusalAnswer,
} from './exchange.ts'
import { type Fault, type FaultMatch, type FaultRule, findFault, throughFault } from './faults.ts'
import { createManifestStore, type ManifestStore } from './manifests.ts'
import { createRate } from './rate.ts'
import { createRules, type Rules } from './rules.ts'
import { createStorage, type Storage } from './storage.ts'
import { createUploadStore, type UploadStore } from './uploads.ts'
import type { RegistryWays } from './ways.ts'

export interface FakeRegistryOptions {
  readonly ways: RegistryWays
  /** Decides about each request in place of the ways' own: undefined lets it in, else it is the answer. */
  readonly authorize?: (request: IncomingMessage) => Answer | undefined
  /** Repositories that are there, or names beneath which they are made. */
  readonly names?: readonly string[]
  /** Passwords by user. */
  readonly users?: Record<string, string>
  /** Default: users may all, others may pull. */
  readonly rights?: (user: string | undefined, repository: string, action: string) => boolean
  /** Something between keeps connections that the client has given up: two bodies of one session may seem to overlap. */
  readonly overlaps?: boolean
  /** Whether what no client may do fails the test. Default true. */
  readonly rules?: boolean
  /** Default any free one. */
  readonly port?: number
}

/** A registry in this process, and its storage; its token service is another. */
export interface FakeRegistry extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string
  readonly url: string
  /** Of the registry, its token service and its storage, in the order in which they began. */
  readonly requests: RecordedRequest[]
  readonly manifests: ManifestStore
  /** Sessions that were opened and neither finished nor canceled, with the bytes that each has got. */
  sessions(): ReadonlyArray<{ id: string; bytes: number }>
  readonly uploads: Pick<UploadStore, 'opened' | 'receiving'>
  /** Of clients; at 0 whatever they had sent was done. */
  readonly connections: number
  readonly rules: Rules
  blob(repository: string, digest: string): Buffer | undefined
  putBlob(repository: string, bytes: Buffer, digest?: string): string
  deleteBlob(repository: string, digest: string): void
  /** The next request that matches (the `nth`, `times` in a row) meets the fault, until the returned function is called. */
  fail(match: FaultMatch, fault: Fault): () => void
  /** Its clock goes on; it stands still otherwise. */
  advance(ms: number): void
  /** Passwords by user, changeable; those of now run out. */
  readonly users: Record<string, string>
  expirePasswords(): void
  close(): Promise<void>
}

const BLOB = /^\/v2\/(.+)\/blobs\/([a-z0-9]+:[a-f0-9]+)$/

/** With its token service where its ways have one, closed at the end, when what no client may do fails the test. */
export async function startFakeRegistry(
  t: Cleanup,
  options: FakeRegistryOptions,
): Promise<FakeRegistry & { readonly tokens: TokenServer | undefined }> {
  const { auth } = options.ways
  const { users = {}, rights = byUser } = options
  const time = { now: Date.now() }
  const requests: RecordedRequest[] = []
  const rules = createRules(options.overlaps)
  const tokens =
    auth.kind === 'bearer'
      ? await startTokenServer(t, {
          users,
          rights,
          ttlSeconds: auth.tokenTtlMs / 1000,
          silentAboutLife: !auth.tellsLife,
          field: auth.tokenField,
          postStatus: auth.post,
          wrongPassword: auth.wrongPassword,
          ...(auth.actions ? { actions: auth.actions } : {}),
          grantsAll: auth.grantsAll,
          now: () => time.now,
          onRequest(request) {
            const record = recordOf(request, 'auth')
            requests.push(record)
            rules.seen(record)
          },
        })
      : undefined
  const registry = await createFakeRegistry({ ...options, users, rights }, { tokens, time, requests, rules })
  defer(t, async () => {
    await registry.close()
    if (options.rules !== false) rules.check()
  })
  return Object.assign(registry, { tokens })
}

const byUser = (user: string | undefined, _repository: string, action: string): boolean =>
  user !== undefined || action === 'pull'

interface Parts {
  readonly tokens?: TokenServer | undefined
  readonly time?: { now: number }
  readonly requests?: RecordedRequest[]
  readonly rules?: Rules
}

export async function createFakeRegistry(options: FakeRegistryOptions, parts: Parts = {}): Promise<FakeRegistry> {
  const { ways, users = {}, rights = byUser } = options
  const { time = { now: Date.now() }, requests = [], rules = createRules() } = parts
  const rulesOfFaults: FaultRule[] = []
  const sockets = new Set<Socket>()
  const blobs = createBlobStore()
  const manifests = createManifestStore({
    ways: ways.manifests,
    hasBlob: (repository, digest) => blobs.blob(repository, digest) !== undefined,
  })
  const uploads = createUploadStore({
    ways: ways.uploads,
    blobs,
    rules,
    referenced: (repository, digest) => manifests.references(repository, digest),
  })
  const places = { registry: '', storage: '' }
  const storage = createStorage(() => places.storage, {
    ways: ways.blobs,
    ttlMs: ways.blobs.redirect?.ttlMs ?? 0,
    now: () => time.now,
    blob: (repository, digest) => blobs.blob(repository, digest),
  })
  const access = createAccess({
    ways: ways.auth,
    tokens: parts.tokens,
    get host() {
      return places.registry
    },
    rules,
    users,
    rights,
  })
  const names = new Set(options.names)
  const rate = createRate(ways.rate, () => time.now)
  const answer = async (request: IncomingMessage, exchange: Exchange): Promise<Answer> => {
    const { record } = exchange
    const refused = options.authorize ? options.authorize(request) : access.refuse(record)
    if (refused) return refused
    const limited = rate.refuse(record)
    if (limited) return limited
    const unknown = isUnknown(ways, names, record.path)
    if (unknown) return refusalAnswer(ways.unknownRepository, { r: repositoryOf(record.path) ?? '' })
    const hint = blobHint(ways, { blobs, storage, uploads, rules }, exchange)
    return (
      hint ??
      (await uploads.handle(exchange)) ??
      (await manifests.handle(record, exchange.body)) ??
      (record.path === '/v2/'
        ? { status: 200, headers: { 'content-type': 'application/json' }, body: '{}' }
        : { status: 404, body: '404 page not found\n' })
    )
  }

  const handle = async (origin: Origin, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const record = recordOf(request, origin)
    requests.push(record)
    rules.seen(record)
    const fault = findFault(rulesOfFaults, record)
    const io = throughFault(fault, request, response, record)
    if (fault?.kind === 'hold') await fault.until
    if (fault?.kind === 'answer') {
      if (fault.early !== true) for await (const _ of io.body) void _
      return io.answer(fault)
    }
    if (origin === 'storage') return io.answer(storage.answer(record))
    const front = await throughFront(ways, record, io.body)
    if ('status' in front) return io.answer(front)
    const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`)
    const reset = () => void request.socket.resetAndDestroy()
    const found = refuseCookie(ways, record) ?? (await answer(request, { record, url, body: front.body, reset }))
    if (ways.drains) for await (const _ of front.body) void _
    const cookie = ways.cookie ? { 'set-cookie': 'sid=5f4dcc3b; Path=/; HttpOnly' } : {}
    io.answer({ ...found, headers: { ...ways.headers, ...rate.headers(record), ...cookie, ...found.headers } })
  }

  const listen = async (origin: Origin, port = 0): Promise<Server> => {
    const server = createServer((request, response) => {
      handle(origin, request, response).catch((error: unknown) => {
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
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    return server
  }
  const servers = [await listen('registry', options.port), ...(ways.blobs.redirect ? [await listen('storage')] : [])]
  const hosts = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`)
  Object.assign(places, { registry: hosts[0], storage: hosts[1] ?? '' })
  const close = async (): Promise<void> => {
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    for (const socket of sockets) socket.destroy()
    await Promise.all(closed)
  }

  return {
    host: places.registry,
    url: `http://${places.registry}`,
    requests,
    manifests,
    sessions: () => uploads.open,
    uploads,
    rules,
    users,
    get connections() {
      return sockets.size
    },
    blob: (repository, digest) => blobs.blob(repository, digest),
    putBlob: (repository, bytes, digest) => blobs.put(repository, bytes, digest),
    deleteBlob: (repository, digest) => blobs.delete(repository, digest),
    fail(match, fault) {
      const rule = { match, fault, seen: 0 }
      rulesOfFaults.push(rule)
      return () => void rulesOfFaults.splice(rulesOfFaults.indexOf(rule), 1)
    },
    advance: (ms) => void (time.now += ms),
    expirePasswords: () => access.expirePasswords(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function recordOf({ method = '', url = '/', headers }: IncomingMessage, origin: Origin): RecordedRequest {
  const { pathname, searchParams } = new URL(url, 'http://localhost')
  return { origin, method, path: pathname, target: url, query: searchParams, headers, bodyBytes: 0, status: undefined }
}

/** The body as it goes on, or what a front end says of one that is too large. */
async function throughFront(
  { front }: RegistryWays,
  { headers }: RecordedRequest,
  body: AsyncIterable<Buffer>,
): Promise<{ body: AsyncIterable<Buffer> } | Answer> {
  if (!front) return { body }
  const refused = refusalAnswer(front.refusal)
  const length = Number(headers['content-length'] ?? 0)
  if (front.early && length > front.maxBytes) {
    return { ...refused, headers: { ...refused.headers, connection: 'close' } }
  }
  const chunks: Buffer[] = []
  let size = 0
  // Not by `for await`, which would break the request off where it stops.
  const iterator = body[Symbol.asyncIterator]()
  for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
    size += next.value.length
    if (size <= front.maxBytes) chunks.push(Buffer.from(next.value))
    else if (front.early) return { ...refused, headers: { ...refused.headers, connection: 'close' } }
  }
  return size <= front.maxBytes ? { body: Readable.from(chunks) } : refused
}

function refuseCookie({ cookie }: RegistryWays, { headers, method }: RecordedRequest): Answer | undefined {
  if (!cookie || headers.cookie === undefined || method === 'GET' || method === 'HEAD') return undefined
  return refusalAnswer({ status: 403, code: 'FORBIDDEN', message: 'CSRF token not found in request' })
}

function isUnknown({ repositories }: RegistryWays, names: ReadonlySet<string>, path: string): boolean {
  const repository = repositoryOf(path)
  if (repository === undefined || repositories === 'made') return false
  if (names.has(repository)) return false
  return repositories === 'named' || ![...names].some((name) => repository.startsWith(`${name}/`))
}

interface Stores {
  readonly blobs: BlobStore
  readonly storage: Storage
  readonly uploads: UploadStore
  readonly rules: Rules
}

function blobHint(ways: RegistryWays, stores: Stores, { record }: Exchange): Answer | undefined {
  const { blobs, storage, uploads, rules } = stores
  const [, repository = '', digest = ''] = BLOB.exec(record.path) ?? []
  if (repository === '') return undefined
  const bytes = uploads.hides(digest) ? undefined : blobs.blob(repository, digest)
  if (!bytes) {
    const unknown: Refusal = {
      status: 404,
      code: 'BLOB_UNKNOWN',
      message: 'blob unknown to registry',
      detail: { digest },
    }
    return refusalAnswer(unknown)
  }
  if (record.method === 'DELETE') {
    if (typeof ways.blobs.delete === 'object') return refusalAnswer(ways.blobs.delete)
    blobs.delete(repository, digest)
    return { status: ways.blobs.delete }
  }
  rules.range(record, bytes.length)
  const { redirect } = ways.blobs
  if (redirect && (record.method === 'GET' || redirect.head)) {
    return {
      status: redirect.status,
      headers: { location: storage.sign(repository, digest), 'accept-ranges': 'bytes' },
    }
  }
  return bytesAnswer(bytes, record.headers.range, ways.blobs, {
    'content-type': ways.blobs.contentType,
    'docker-content-digest': digest,
    ...etagOf(ways.blobs.etag, digest),
  })
}
