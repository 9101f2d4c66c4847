import { createHash, randomUUID } from 'node:crypto'
import { type Answer, errorAnswer, readAll, type RecordedRequest } from './memory-registry-exchange.ts'

/**
 * What a session is worth after its connection was cut. dist3: every byte that arrived is kept, and a status request
 * tells where it stands. dist2.8: no URL carries the true offset, so the session can't be used any more.
 */
export type SessionSemantics = 'dist2.8' | 'dist3'

export interface UploadStoreOptions {
  semantics: SessionSemantics
  ranges: boolean
  singlePost: boolean
  mount: boolean | 'anywhere'
  relative: boolean
}

interface Session {
  readonly id: string
  readonly repository: string
  readonly chunks: Buffer[]
  size: number
}

const BLOB = /^\/v2\/(.+)\/blobs\/([a-z0-9]+:[a-f0-9]+)$/
const UPLOADS = /^\/v2\/(.+)\/blobs\/uploads\/?$/
const UPLOAD = /^\/v2\/(.+)\/blobs\/uploads\/([0-9a-f-]{36})$/

export interface UploadStore {
  handle(request: RecordedRequest, url: URL, body: AsyncIterable<Buffer>): Promise<Answer | undefined>
  blob(repository: string, digest: string): Buffer | undefined
  putBlob(repository: string, bytes: Buffer, digest?: string): string
  deleteBlob(repository: string, digest: string): void
  readonly openSessions: ReadonlyArray<{ id: string; bytes: number }>
}

export function createUploadStore(options: UploadStoreOptions): UploadStore {
  const blobs = new Map<string, Buffer>()
  const sessions = new Map<string, Session>()
  const key = (repository: string, digest: string) => `${repository}@${digest}`
  const blob = (repository: string, digest: string) => blobs.get(key(repository, digest))
  const putBlob = (repository: string, bytes: Buffer, digest = sha256(bytes)) => {
    blobs.set(key(repository, digest), bytes)
    return digest
  }

  const elsewhere = (digest: string, from: string | null | undefined): Buffer | undefined => {
    if (options.mount === true) return from ? blob(from, digest) : undefined
    const known = options.mount ? [...blobs].find(([name]) => name.endsWith(`@${digest}`)) : undefined
    return known?.[1]
  }

  const opened = (repository: string, url: URL): Answer => {
    const session: Session = { id: randomUUID(), repository, chunks: [], size: 0 }
    sessions.set(session.id, session)
    return sessionAnswer(202, session, url)
  }

  const sessionAnswer = (status: number, session: Session, url: URL): Answer => {
    const path = `/v2/${session.repository}/blobs/uploads/${session.id}?_state=${state(session.size)}`
    return {
      status,
      headers: {
        location: options.relative ? path : `${url.origin}${path}`,
        range: `0-${Math.max(0, session.size - 1)}`,
        'docker-upload-uuid': session.id,
      },
    }
  }

  const created = (repository: string, digest: string, url: URL): Answer => ({
    status: 201,
    headers: {
      location: `${options.relative ? '' : url.origin}/v2/${repository}/blobs/${digest}`,
      'docker-content-digest': digest,
    },
  })

  const open = async (url: URL, body: AsyncIterable<Buffer>, repository: string) => {
    const [mount, from, digest] = ['mount', 'from', 'digest'].map((name) => url.searchParams.get(name))
    if (mount) {
      const linked = elsewhere(mount, from)
      if (!linked) return opened(repository, url)
      putBlob(repository, linked, mount)
      return created(repository, mount, url)
    }
    if (!digest || !options.singlePost) return opened(repository, url)
    const bytes = await readAll(body)
    if (sha256(bytes) !== digest)
      return errorAnswer(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
    putBlob(repository, bytes, digest)
    return created(repository, digest, url)
  }

  const receive = async (session: Session, body: AsyncIterable<Buffer>) => {
    for await (const chunk of body) {
      session.chunks.push(Buffer.from(chunk))
      session.size += chunk.length
    }
  }

  const patch = async (session: Session, request: RecordedRequest, url: URL, body: AsyncIterable<Buffer>) => {
    if (request.headers['content-type'] !== 'application/octet-stream') {
      return errorAnswer(500, 'UNKNOWN', 'unknown error')
    }
    const wrong = options.semantics === 'dist3' ? checkContentRange(session, request) : undefined
    if (wrong) return wrong
    await receive(session, body)
    return sessionAnswer(202, session, url)
  }

  const commit = async (session: Session, url: URL, body: AsyncIterable<Buffer>) => {
    const digest = url.searchParams.get('digest')
    if (!digest)
      return errorAnswer(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content', 'digest missing')
    await receive(session, body)
    const bytes = Buffer.concat(session.chunks)
    if (sha256(bytes) !== digest) {
      return errorAnswer(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
    }
    sessions.delete(session.id)
    putBlob(session.repository, bytes, digest)
    return created(session.repository, digest, url)
  }

  const continueUpload = async (request: RecordedRequest, url: URL, body: AsyncIterable<Buffer>, id: string) => {
    const session = sessions.get(id)
    if (!session) return errorAnswer(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry')
    if (url.searchParams.get('_state') !== state(session.size)) {
      if (options.semantics === 'dist2.8') return errorAnswer(404, 'BLOB_UPLOAD_INVALID', 'blob upload invalid')
      if (request.method === 'PATCH' || request.method === 'PUT') {
        return errorAnswer(416, 'RANGE_INVALID', 'invalid content range')
      }
    }
    if (request.method === 'GET' || request.method === 'HEAD') return sessionAnswer(204, session, url)
    if (request.method === 'PATCH') return patch(session, request, url, body)
    if (request.method === 'PUT') return commit(session, url, body)
    if (request.method !== 'DELETE') return errorAnswer(405, 'UNSUPPORTED', 'The operation is unsupported.')
    sessions.delete(id)
    return { status: 204 }
  }

  return {
    blob,
    putBlob,
    deleteBlob: (repository, digest) => void blobs.delete(key(repository, digest)),
    get openSessions() {
      return [...sessions.values()].map(({ id, size }) => ({ id, bytes: size }))
    },
    async handle(request, url, body) {
      const uploads = UPLOADS.exec(url.pathname)
      if (uploads?.[1] && request.method === 'POST') return open(url, body, uploads[1])
      const upload = UPLOAD.exec(url.pathname)
      if (upload?.[2]) return continueUpload(request, url, body, upload[2])
      const [, repository = '', digest = ''] = BLOB.exec(url.pathname) ?? []
      if (!repository) return undefined
      const bytes = blob(repository, digest)
      if (!bytes) return errorAnswer(404, 'BLOB_UNKNOWN', 'blob unknown to registry', { digest })
      return blobAnswer(bytes, digest, options.ranges ? request.headers.range : undefined)
    },
  }
}

function blobAnswer(bytes: Buffer, digest: string, range: string | undefined): Answer {
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
  }
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? []
  if (first === undefined) return { status: 200, headers, body: bytes }
  const start = Number(first)
  const end = last ? Math.min(Number(last), bytes.length - 1) : bytes.length - 1
  if (start >= bytes.length) return { status: 416, headers: { 'content-range': `bytes */${bytes.length}` } }
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${start}-${end}/${bytes.length}` },
    body: bytes.subarray(start, end + 1),
  }
}

/** distribution 3.x reads Content-Range only beside a Content-Length, and as `<start>-<end>` alone. */
function checkContentRange(session: Session, request: RecordedRequest): Answer | undefined {
  const range = request.headers['content-range']
  const length = request.headers['content-length']
  if (range === undefined || length === undefined) return undefined
  const [, start, end] = /^(\d+)-(\d+)$/.exec(range) ?? []
  if (start === undefined || end === undefined) return errorAnswer(500, 'UNKNOWN', 'unknown error')
  if (Number(start) !== session.size) return errorAnswer(416, 'RANGE_INVALID', 'invalid content range')
  if (Number(end) - Number(start) + 1 !== Number(length)) {
    return errorAnswer(400, 'SIZE_INVALID', 'provided length did not match content length')
  }
  return undefined
}

/** As opaque as a registry's: the client may only hand it back. */
function state(size: number): string {
  return Buffer.from(`{"Offset":${size}}`).toString('base64url')
}

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
