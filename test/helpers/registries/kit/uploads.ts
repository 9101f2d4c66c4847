import { randomUUID } from 'node:crypto'
import { type BlobStore, digestOf } from './blobs.ts'
import { type Answer, errorAnswer, type Exchange, readAll, type Refusal, refusalAnswer } from './exchange.ts'
import type { Rules } from './rules.ts'
import type { UploadWays } from './ways.ts'

export interface UploadStoreOptions {
  readonly ways: UploadWays
  readonly blobs: BlobStore
  readonly rules: Rules
  /** Whether a manifest of that repository names the blob. */
  readonly referenced: (repository: string, digest: string) => boolean
}

interface Session {
  readonly id: string
  readonly repository: string
  content: Buffer[]
  size: number
  /** Lengths of the parts by range. */
  readonly parts: number[]
  /** One of `equalParts` was smaller, and so is the last. */
  short: boolean
  patches: number
}

const UPLOADS = /^\/v2\/(.+)\/blobs\/uploads\/?$/
const UPLOAD = /^\/v2\/(.+)\/blobs\/uploads?\/([0-9a-f-]{36})(?:\.patch)?$/
const DIGEST = 'docker-content-digest'

export interface UploadStore {
  handle(exchange: Exchange): Promise<Answer | undefined>
  readonly open: ReadonlyArray<{ id: string; bytes: number }>
  readonly opened: number
  /** Whether the blob was committed and does not show yet; each call brings it closer. */
  hides(digest: string): boolean
  /** Requests whose body is on its way. */
  readonly receiving: number
}

export function createUploadStore(options: UploadStoreOptions): UploadStore {
  const { ways, blobs, rules } = options
  const sessions = new Map<string, Session>()
  const hidden = new Map<string, number>()
  const counts = { opened: 0, receiving: 0 }
  const { receive, locationOf, patchAnswer, refused } = sessionWays(ways, rules, sessions, counts)
  const created = (repository: string, digest: string, url: URL): Answer => ({
    status: 201,
    headers: {
      location: `${ways.location === 'relative' ? '' : url.origin}/v2/${repository}/blobs/${digest}`,
      [DIGEST]: digest,
    },
  })
  /** Under the digest that was asked for, and under sha256 where the registry knows no other. */
  const store = (repository: string, bytes: Buffer, digest: string, url: URL): Answer => {
    blobs.put(repository, bytes, digest)
    const told = ways.sha512 === 'sha256' ? blobs.put(repository, bytes) : digest
    return created(repository, told, url)
  }

  const opening = (repository: string, url: URL): Answer => {
    const id = randomUUID()
    const session: Session = { id, repository, content: [], size: 0, parts: [], short: false, patches: 0 }
    sessions.set(id, session)
    counts.opened += 1
    const [least, most] = ways.chunkBytes ?? []
    const bounds = { 'oci-chunk-min-length': String(least), 'oci-chunk-max-length': String(most) }
    const range = ways.postRange === undefined ? {} : { range: ways.postRange }
    const headers = { location: locationOf(session, url), 'docker-upload-uuid': id, ...range }
    return { status: 202, headers: { ...headers, ...(ways.chunkBytes ? bounds : {}) } }
  }

  const linked = (digest: string, from: string | null): Buffer | undefined => {
    if (ways.mount === 'anywhere') return blobs.anywhere(digest)
    const found = from !== null && ways.mount !== 'never' ? blobs.blob(from, digest) : undefined
    return found && (ways.mount === 'named' || options.referenced(from ?? '', digest)) ? found : undefined
  }

  const open = async ({ url, body }: Exchange, repository: string): Promise<Answer> => {
    const [mount, from, digest, origin] = ['mount', 'from', 'digest', 'origin'].map((name) =>
      url.searchParams.get(name),
    )
    if (mount) {
      const foreign = origin || /^[^/]*[.:]/.test(from ?? '')
      if (foreign && ways.mountOrigin) return refusalAnswer(ways.mountOrigin)
      const bytes = linked(mount, from ?? null)
      return bytes ? store(repository, bytes, mount, url) : opening(repository, url)
    }
    if (!digest || !ways.singlePost) return opening(repository, url)
    const bytes = await readAll(body)
    if (digestOf(bytes, digest) !== digest) return refusalAnswer(ways.wrongDigest)
    return store(repository, bytes, digest, url)
  }

  const patch = async (session: Session, exchange: Exchange): Promise<Answer> => {
    const { record, url } = exchange
    const range = record.headers['content-range']
    const wrong = refused(session, exchange)
    if (typeof wrong === 'object') return wrong
    const before = session.size
    await receive(session, exchange, wrong)
    if (ways.equalParts && !isEqual(session, record.bodyBytes, Number(ways.chunkBytes?.[0] ?? 0))) {
      rewind(session, before)
      const told = { location: locationOf(session, url), range: `0-${before - 1}` }
      const answer = errorAnswer(416, 'RANGE_ERROR', 'stateHash 5f does not match state')
      return { ...answer, headers: { ...answer.headers, ...told } }
    }
    session.patches += 1
    if (range !== undefined) session.parts.push(record.bodyBytes)
    return patchAnswer(session, url, { range, before })
  }

  const commit = async (session: Session, exchange: Exchange): Promise<Answer> => {
    const { url } = exchange
    const digest = url.searchParams.get('digest')
    if (!digest) return refusalAnswer(ways.noDigest)
    const failed = (refusal: Refusal): Answer => {
      if (ways.failureEnds) sessions.delete(session.id)
      return refusalAnswer(refusal)
    }
    const wrong = commitRefusal(ways, session, exchange)
    if (wrong) return failed(wrong)
    await receive(session, exchange, 0)
    const flaw = flawOf(ways, session, exchange)
    if (flaw) return failed(flaw)
    const bytes = Buffer.concat(session.content)
    if (digestOf(bytes, digest) !== digest) return failed(ways.wrongDigest)
    sessions.delete(session.id)
    const answer = store(session.repository, bytes, digest, url)
    if (ways.lateCommit === 0) return answer
    hidden.set(digest, ways.lateCommit)
    exchange.reset()
    throw new Error('the answer to a commit was lost on purpose')
  }

  const status = (session: Session, { url, record }: Exchange): Answer => {
    if (record.method === 'HEAD' && ways.statusHead !== 'as GET') return { status: ways.statusHead }
    if (typeof ways.status === 'number') return { status: ways.status }
    if (ways.status === 'plus-one') return { status: 204, headers: { range: `bytes=0-${session.size}` } }
    const { tells = session.size } = ways
    if (tells < session.size) rewind(session, tells)
    const location = { location: locationOf(session, url) }
    if (ways.status === 'no-range') return { status: 204, headers: location }
    const range = tells === 0 ? ways.emptyRange : `0-${tells - 1}`
    return { status: 204, headers: { ...location, range, 'docker-upload-uuid': session.id } }
  }

  const goOn = async (exchange: Exchange, id: string): Promise<Answer> => {
    const { record, url } = exchange
    const session = sessions.get(id)
    if (!session) return errorAnswer(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry')
    const isRead = record.method === 'GET' || record.method === 'HEAD'
    const isOld = url.searchParams.get('_state') !== state(session.size)
    const { oldLocation } = ways
    // What cannot be asked after is given up by any address, so that a test can tell what is left.
    const isSpared = isRead ? !ways.oldStatus : record.method === 'DELETE' && ways.oldStatus
    if (isOld && oldLocation !== 'taken' && !isSpared) {
      return refusalAnswer(oldLocation)
    }
    if (isRead) return status(session, exchange)
    if (record.method === 'PATCH') return patch(session, exchange)
    if (record.method === 'PUT') return commit(session, exchange)
    if (record.method !== 'DELETE') return errorAnswer(405, 'UNSUPPORTED', 'The operation is unsupported.')
    sessions.delete(id)
    return { status: ways.cancelStatus }
  }

  return {
    get open() {
      return [...sessions.values()].map(({ id, size }) => ({ id, bytes: size }))
    },
    get opened() {
      return counts.opened
    },
    get receiving() {
      return counts.receiving
    },
    hides(digest) {
      const left = hidden.get(digest) ?? 0
      if (left > 0) hidden.set(digest, left - 1)
      return left > 0
    },
    async handle(exchange) {
      const { record, url } = exchange
      const uploads = UPLOADS.exec(url.pathname)
      if (uploads?.[1] && record.method === 'POST') return open(exchange, uploads[1])
      const upload = UPLOAD.exec(url.pathname)
      return upload?.[2] ? goOn(exchange, upload[2]) : undefined
    },
  }
}

/** What all requests of a session share. */
function sessionWays(ways: UploadWays, rules: Rules, sessions: Map<string, Session>, counts: { receiving: number }) {
  const locationOf = (session: Session, url: URL): string => {
    const { id, repository, size } = session
    const path = `/v2/${repository}/blobs/${ways.segment}/${id}${ways.suffix}?${ways.query}_state=${state(size)}`
    rules.gave(path)
    return ways.location === 'relative' ? path : `${url.origin}${path}`
  }

  const told = (refusal: Refusal & { told?: boolean }, session: Session, url: URL): Answer => {
    const answer = refusalAnswer(refusal)
    if (!refusal.told) return answer
    const range = `0-${ways.overlap ? session.size : session.size - 1}`
    return { ...answer, headers: { ...answer.headers, location: locationOf(session, url), range } }
  }

  /** The refusal of a PATCH before its body was read, or how many of its bytes are there already. */
  const refused = (session: Session, { record, url }: Exchange): Answer | number => {
    const { headers } = record
    const [range, length] = [headers['content-range'], headers['content-length']]
    if (ways.wrongType && headers['content-type'] !== 'application/octet-stream') return refusalAnswer(ways.wrongType)
    if (ways.onePatch && session.patches > 0) {
      if (!ways.onePatch.sessionStays) sessions.delete(session.id)
      return refusalAnswer(ways.onePatch)
    }
    if (ways.laterStream && range === undefined && session.size > 0) return refusalAnswer(ways.laterStream)
    if (Number(length ?? 0) > ways.patchMaxBytes) return refusalAnswer(ways.patchTooLarge)
    const outside = tooLarge(ways, session, record.headers)
    if (outside) return refusalAnswer(outside)
    if (range === undefined || ways.reads === 'never') return 0
    if (length === undefined && ways.rangeOfStream) return refusalAnswer(ways.rangeOfStream)
    if (length === undefined && ways.reads === 'beside a length') return 0
    const [, first, last] = /^(\d+)-(\d+)$/.exec(range) ?? []
    if (first === undefined) return refusalAnswer(ways.badRange)
    const start = Number(first)
    if (ways.overlap && start <= session.size) return start === 0 ? 0 : session.size - start
    if (start !== session.size) {
      return told(start < session.size ? (ways.repeat ?? ways.gap) : ways.gap, session, url)
    }
    const isWhole = length === undefined || Number(last) - start + 1 === Number(length)
    return isWhole ? 0 : refusalAnswer(ways.badLength)
  }

  const receive = async (session: Session, exchange: Exchange, skip: number): Promise<void> => {
    const before = session.size
    let skipped = 0
    const ended = rules.body(session.id, exchange.record)
    counts.receiving += 1
    const timer = ways.deadlineMs === undefined ? undefined : setTimeout(() => exchange.reset(), ways.deadlineMs)
    try {
      for await (const chunk of exchange.body) {
        const fresh = chunk.subarray(Math.min(chunk.length, skip - skipped))
        skipped += chunk.length - fresh.length
        session.content.push(Buffer.from(fresh))
        session.size += fresh.length
      }
    } catch (error) {
      if (ways.cutCounts) session.patches += 1
      if (ways.cut === 'nothing') sessions.delete(session.id)
      if (ways.cut === 'parts') rewind(session, before)
      throw error
    } finally {
      counts.receiving -= 1
      ended()
      clearTimeout(timer)
    }
  }

  const patchAnswer = (session: Session, url: URL, sent: { range: string | undefined; before: number }): Answer => {
    const headers = { location: locationOf(session, url), 'docker-upload-uuid': session.id }
    return { status: ways.patchStatus, headers: { ...headers, range: rangeOf(ways, session, sent) } }
  }

  return { receive, locationOf, patchAnswer, refused }
}

function rangeOf(ways: UploadWays, session: Session, sent: { range: string | undefined; before: number }): string {
  const { size, parts } = session
  if (size === 0) return ways.emptyRange
  if (ways.patchRange === 'stuck') return `0-${(parts[0] ?? size) - 1}`
  if (ways.patchRange === 'exact') return `0-${size - 1}`
  return sent.range === undefined ? `0-${size}` : `${sent.before}-${size - 1}`
}

/** What is wrong with a PUT before its body was read. */
function commitRefusal(ways: UploadWays, session: Session, { record }: Exchange): Refusal | undefined {
  const { 'content-length': length, 'content-range': range } = record.headers
  const isEmpty = length === '0'
  if (isEmpty && session.parts.length > 0 && ways.emptyCommit) return ways.emptyCommit
  if (!isEmpty && ways.fullCommit) return ways.fullCommit
  const outside = isEmpty ? undefined : tooLarge(ways, session, record.headers)
  if (outside) return outside
  const [, start] = /^(\d+)-\d+$/.exec(range ?? '') ?? []
  if (range === undefined || ways.commitRange === 'ignored') return undefined
  return Number(start) === session.size ? undefined : ways.gap
}

/** What is wrong with the blob once all of it is there. */
function flawOf(ways: UploadWays, session: Session, { record }: Exchange): Refusal | undefined {
  const { parts } = session
  if (ways.equalParts && new Set(parts.slice(0, -1)).size > 1) {
    return { status: 500, code: 'INTERNAL_ERROR', message: 'internal error' }
  }
  const [least, most] = ways.partBytes ?? [0, Infinity]
  const earlier = record.headers['content-length'] === '0' ? parts.slice(0, -1) : parts
  if (earlier.some((bytes) => bytes < least || bytes > most)) return ways.partSize
  return session.size === 0 ? ways.emptyBlob : undefined
}

function tooLarge(
  ways: UploadWays,
  session: Session,
  headers: { 'content-length'?: string | undefined },
): Refusal | undefined {
  if (Number(headers['content-length'] ?? 0) > ways.bodyMaxBytes) return ways.bodyTooLarge
  return session.size >= ways.refusesFrom
    ? { status: 416, code: 'RANGE_INVALID', message: 'invalid content range' }
    : undefined
}

function isEqual(session: Session, bytes: number, least: number): boolean {
  const last = session.parts.at(-1)
  if (last !== undefined && (bytes > last || (bytes === last && session.short))) return false
  session.short ||= last === undefined ? bytes < least : bytes < last
  return true
}

function rewind(session: Session, size: number): void {
  session.content = [Buffer.concat(session.content).subarray(0, size)]
  session.size = Math.min(session.size, size)
}

/** As opaque as a registry's: the client may only hand it back. */
function state(size: number): string {
  return Buffer.from(`{"Offset":${size}}`).toString('base64url')
}
