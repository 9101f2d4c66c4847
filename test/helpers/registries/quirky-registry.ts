import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Cleanup } from '../cleanup.ts'
import { listenOnLoopback } from '../network/listening.ts'
import { errorAnswer, type Answer } from './memory-registry-exchange.ts'

const MIB = 1024 * 1024

/** How a registry takes uploads, as far as it differs from distribution 3. Source: registries.md 20. */
export interface UploadQuirks {
  /** What a cut leaves of a session. Default: every byte; parts: what was acknowledged; session: nothing, not even that. */
  cutTakes?: 'nothing' | 'part' | 'session'
  /** Of a PATCH. Default 202. */
  patchStatus?: number
  /** The Range of a PATCH's answer stays that of the first one. */
  rangeSticks?: boolean
  /** The answer to a status request. Default: the bytes; plus-one: one more, and no Location; a number: this status. */
  status?: 'plus-one' | number
  /** A PATCH with a length may bring so much. */
  patchMaxBytes?: number
  /** Any body may bring so much. */
  bodyMaxBytes?: number
  /** The first PATCH is the only one: to the second this status, and the session ends. Default of `status`: 400. */
  onePatch?: { status?: number; sessionStays?: boolean }
  /** One that broke off counts as a PATCH too. */
  cutCounts?: boolean
  /**
   * Parts have the size of the first, only the last one may be smaller: another one is read, and answered with 416, and
   * the session stands where it stood. A session that got others can't be completed.
   */
  equalParts?: boolean
  /** OCI-Chunk-Min-Length and OCI-Chunk-Max-Length of a session that is opened. */
  chunkBytes?: readonly [string | number, string | number]
  /** Bytes that would begin there or later are answered with 416, however they come. */
  refusesFrom?: number
  /** What a status says that the session has, whatever it has. What is beyond is forgotten. */
  tells?: number
  /** Parts (but the last) outside of these bounds are found out at the end. */
  partBytes?: readonly [number, number]
  /** An empty PUT after parts is refused. */
  lastInPut?: boolean
  /** A request whose body takes longer is cut. */
  deadlineMs?: number
  /** What it says of itself in every answer. */
  shows?: Record<string, string>
  /** It wants a log-in; HOST stands for its own. Its token service gives one to anybody. */
  challenge?: string
}

export const ECR: UploadQuirks = {
  cutTakes: 'part',
  patchStatus: 201,
  rangeSticks: true,
  status: 404,
  partBytes: [5 * MIB, 10 * MIB],
  lastInPut: true,
}
export const GHCR: UploadQuirks = { patchMaxBytes: 4 * MIB }
export const GAR: UploadQuirks = { cutTakes: 'session', status: 404, onePatch: {} }
/** Cloudflare's serverless registry over R2. Source: registries.md 22, its src/registry/r2.ts (uploadChunk). */
export const CLOUDFLARE: UploadQuirks = { cutTakes: 'part', equalParts: true, chunkBytes: [5 * MIB, 100_000_000] }
export const QUAY: UploadQuirks = { cutTakes: 'part', status: 'plus-one' }
export const ZOT: UploadQuirks = { cutTakes: 'session' }

export interface UploadRequest {
  readonly method: string
  readonly range: string | undefined
  readonly length: number | undefined
  /** Of the body, as far as it arrived. */
  bytes: number
  status: number | undefined
}

export interface QuirkyRegistry {
  readonly host: string
  /** PATCH, PUT and status requests, in the order in which they began. */
  readonly requests: UploadRequest[]
  readonly openSessions: number
  /** Of all bodies, as far as they arrived. */
  readonly bytes: number
  /** Sessions so far. */
  readonly opened: number
  /** Requests whose body is on its way. */
  readonly receiving: number
  blob(digest: string): Buffer | undefined
  /** Cuts the next PATCH or PUT when so much of its body has arrived. */
  cutAfter(bytes: number): void
}

interface Session {
  readonly id: number
  content: Buffer[]
  size: number
  /** Lengths of the parts by range. */
  readonly parts: number[]
  /** One of `equalParts` was smaller, and so is the last. */
  short: boolean
  patches: number
}

class Cut extends Error {}

/** A registry on loopback that only takes uploads, and in its own way. */
export async function startQuirkyRegistry(t: Cleanup, quirks: UploadQuirks = {}): Promise<QuirkyRegistry> {
  const requests: UploadRequest[] = []
  const sessions = new Map<number, Session>()
  const blobs = new Map<string, Buffer>()
  let opened = 0
  let receiving = 0
  let cutAt: number | undefined

  const receive = async (request: IncomingMessage, record: UploadRequest, session: Session): Promise<void> => {
    const before = session.size
    const limit = cutAt
    if (Number(request.headers['content-length'] ?? 1) > 0) cutAt = undefined
    receiving += 1
    const timer = setTimeout(() => request.socket.resetAndDestroy(), quirks.deadlineMs ?? 3_600_000)
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        const taken = chunk.subarray(0, limit === undefined ? chunk.length : limit - record.bytes)
        record.bytes += taken.length
        session.content.push(taken)
        session.size += taken.length
        if (record.bytes < (limit ?? Infinity)) continue
        request.socket.resetAndDestroy()
        throw new Cut()
      }
    } catch {
      if (quirks.cutCounts) session.patches += 1
      if (quirks.cutTakes === 'session') sessions.delete(session.id)
      if (quirks.cutTakes === 'part') {
        session.content = [Buffer.concat(session.content).subarray(0, before)]
        session.size = before
      }
      throw new Cut()
    } finally {
      receiving -= 1
      clearTimeout(timer)
    }
  }

  const patch = async (request: IncomingMessage, record: UploadRequest, session: Session): Promise<Answer> => {
    if (quirks.onePatch && session.patches > 0) {
      const { status = 400, sessionStays = false } = quirks.onePatch
      if (!sessionStays) sessions.delete(session.id)
      return errorAnswer(status, 'BLOB_UPLOAD_INVALID', 'chunked uploads are not supported')
    }
    if (record.length !== undefined && record.length > (quirks.patchMaxBytes ?? Infinity)) {
      const why = 'the request body is too large and exceeds the maximum permissible limit of 4.00MiB'
      return errorAnswer(416, 'REQUESTED_RANGE_NOT_SATISFIABLE', why)
    }
    if (record.range !== undefined && Number(record.range.split('-')[0]) !== session.size) {
      return errorAnswer(416, 'RANGE_INVALID', 'invalid content range')
    }
    const before = session.size
    await receive(request, record, session)
    if (quirks.equalParts && !isEqual(session, record.bytes, Number(quirks.chunkBytes?.[0] ?? 0))) {
      session.content = [Buffer.concat(session.content).subarray(0, before)]
      session.size = before
      const why = { location: locationOf(session), range: `0-${before - 1}` }
      return { ...errorAnswer(416, 'RANGE_ERROR', 'stateHash 5f does not match state'), headers: why }
    }
    session.patches += 1
    if (record.range !== undefined) session.parts.push(record.bytes)
    const end = quirks.rangeSticks ? (session.parts[0] ?? session.size) : session.size
    return { status: quirks.patchStatus ?? 202, headers: { location: locationOf(session), range: `0-${end - 1}` } }
  }

  const commit = async (
    request: IncomingMessage,
    record: UploadRequest,
    session: Session,
    digest: string,
  ): Promise<Answer> => {
    if (session.parts.length > 0 && quirks.lastInPut && record.length === 0) {
      return errorAnswer(400, 'BLOB_UPLOAD_INVALID', 'None of the provided layer digests match the layers uploaded')
    }
    await receive(request, record, session)
    if (quirks.equalParts && new Set(session.parts.slice(0, -1)).size > 1) {
      return errorAnswer(500, 'INTERNAL_ERROR', 'internal error')
    }
    const [least, most] = quirks.partBytes ?? [0, Infinity]
    const earlier = record.length === 0 ? session.parts.slice(0, -1) : session.parts
    if (earlier.some((bytes) => bytes < least || bytes > most))
      return errorAnswer(400, 'BLOB_UPLOAD_INVALID', 'part size')
    const bytes = Buffer.concat(session.content)
    if (`sha256:${createHash('sha256').update(bytes).digest('hex')}` !== digest) {
      return errorAnswer(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
    }
    sessions.delete(session.id)
    blobs.set(digest, bytes)
    return { status: 201 }
  }

  const status = (session: Session): Answer => {
    if (typeof quirks.status === 'number') return { status: quirks.status }
    if (quirks.status === 'plus-one') return { status: 204, headers: { range: `bytes=0-${session.size}` } }
    const { tells = session.size } = quirks
    session.content = [Buffer.concat(session.content).subarray(0, tells)]
    session.size = Math.min(session.size, tells)
    return { status: 204, headers: { location: locationOf(session), range: `0-${Math.max(0, tells - 1)}` } }
  }

  const answer = async (request: IncomingMessage, record: UploadRequest): Promise<Answer> => {
    const url = new URL(request.url ?? '', 'http://registry')
    const { method } = request
    if (url.pathname === '/token') return { status: 200, body: '{"token":"a-token"}' }
    if (quirks.challenge !== undefined && request.headers.authorization === undefined) {
      const challenge = quirks.challenge.replaceAll('HOST', request.headers.host ?? '')
      return { ...errorAnswer(401, 'UNAUTHORIZED', 'who are you'), headers: { 'www-authenticate': challenge } }
    }
    if (url.pathname === '/v2/') return { status: 200 }
    if (method === 'HEAD') return { status: blobs.has(url.pathname.split('/').at(-1) ?? '') ? 200 : 404 }
    if (method === 'POST') {
      const session: Session = { id: ++opened, content: [], size: 0, parts: [], short: false, patches: 0 }
      sessions.set(session.id, session)
      const [least, most] = quirks.chunkBytes ?? []
      const bounds = { 'oci-chunk-min-length': String(least), 'oci-chunk-max-length': String(most) }
      return { status: 202, headers: { location: locationOf(session), ...(quirks.chunkBytes ? bounds : {}) } }
    }
    if (method !== 'DELETE') requests.push(record)
    const session = sessions.get(Number(url.searchParams.get('session')))
    if (!session) return errorAnswer(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry')
    if (method === 'DELETE') return { status: sessions.delete(session.id) ? 204 : 404 }
    if (method === 'GET') return status(session)
    if ((record.length ?? 0) > (quirks.bodyMaxBytes ?? Infinity)) return { status: 413, body: '<html>413</html>' }
    if (session.size >= (quirks.refusesFrom ?? Infinity) && record.length !== 0)
      return errorAnswer(416, 'RANGE_INVALID', 'invalid content range')
    if (method === 'PATCH') return patch(request, record, session)
    return commit(request, record, session, url.searchParams.get('digest') ?? '')
  }

  const server = createServer((request, response) => {
    const { method = '', headers } = request
    const length = headers['content-length']
    const record: UploadRequest = {
      method,
      range: headers['content-range'],
      length: length === undefined ? undefined : Number(length),
      bytes: 0,
      status: undefined,
    }
    const exchange = async (): Promise<void> => {
      const found = await answer(request, record)
      record.status = found.status
      send(response, { ...found, headers: { ...quirks.shows, ...found.headers } })
    }
    // A request that was cut has nobody left to answer.
    exchange().catch(() => undefined)
  })
  const host = await listenOnLoopback(t, server)
  return {
    host,
    requests,
    get openSessions() {
      return sessions.size
    },
    get bytes() {
      return requests.reduce((sum, { bytes }) => sum + bytes, 0)
    },
    get opened() {
      return opened
    },
    get receiving() {
      return receiving
    },
    blob: (digest) => blobs.get(digest),
    cutAfter: (bytes) => void (cutAt = bytes),
  }
}

function isEqual(session: Session, bytes: number, least: number): boolean {
  const last = session.parts.at(-1)
  if (last !== undefined && (bytes > last || (bytes === last && session.short))) return false
  session.short ||= last === undefined ? bytes < least : bytes < last
  return true
}

function locationOf({ id, size }: Session): string {
  return `/uploads?session=${id}&at=${size}`
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  const length = status === 204 ? {} : { 'content-length': String(body?.length ?? 0) }
  response.writeHead(status, { ...headers, ...length }).end(body)
}
