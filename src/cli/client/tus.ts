import type { Readable } from 'node:stream'
import { answer, type Calls, type Connection } from './calls.ts'
import { CommandFailure } from './context.ts'
import type { Upload } from './contract.ts'
import { firstValue, send } from './exchange.ts'
import { ApiProblem } from './problems.ts'

/** Where an upload stands. */
export interface Standing {
  readonly offset: number
  /** What its sender wrote down with it. */
  readonly metadata: Readonly<Record<string, string>>
}

export interface NewUpload {
  readonly name: string
  readonly size: number
  /** Hexadecimal; the daemon holds all of it against this. */
  readonly sha256: string
  /** Beside that; comes back with `Standing`. */
  readonly metadata: Readonly<Record<string, string>>
}

/** Resumable uploads by tus 1.0.0, as far as a sender of files needs it. Each throws ApiProblem. */
export interface Tus {
  /** Whether the daemon takes them: an older one takes one request alone. */
  offered(): Promise<boolean>
  /** Its id. */
  begin(upload: NewUpload): Promise<string>
  /** Ends a request that still sends to it. */
  stands(id: string): Promise<Standing>
  /** Sends all that is left. Where it stands then. */
  append(id: string, offset: number, rest: Rest): Promise<number>
  get(id: string): Promise<Upload>
  /** All of this name that one sees. */
  named(name: string): Promise<readonly Upload[]>
  remove(id: string): Promise<void>
}

interface Rest {
  readonly body: AsyncIterable<Buffer>
  readonly bytes: number
  readonly signal: AbortSignal
}

const VERSION = { 'tus-resumable': '1.0.0' }
const UPLOADS = '/v1/uploads'
/** A daemon that was restarted reads all of a large file once more before it says yes. */
const ANSWER_WITHIN_MS = 30 * 60_000
const SMALL = { headersTimeout: 30_000 }

export function createTus(connection: Connection, calls: Calls): Tus {
  return { ...protocolOver(connection), ...uploadsOf(calls) }
}

function protocolOver(connection: Connection): Pick<Tus, 'offered' | 'begin' | 'stands' | 'append'> {
  const at = (id: string) => `${UPLOADS}/${encodeURIComponent(id)}`
  return {
    async offered() {
      const { headers, body } = await send(connection, UPLOADS, { ...SMALL, method: 'OPTIONS', headers: {} }).catch(
        unlessAbsent,
      )
      await body?.dump()
      return (firstValue(headers['tus-version']) ?? '').split(',').includes('1.0.0')
    },
    async begin({ name, size, sha256, metadata }) {
      const { headers, body } = await send(connection, UPLOADS, {
        ...SMALL,
        method: 'POST',
        headers: {
          ...VERSION,
          'upload-length': String(size),
          'upload-metadata': written({ filename: name, sha256, ...metadata }),
          'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
        },
      })
      await body.dump()
      return decodeURIComponent(firstValue(headers['location'])?.split('/').at(-1) ?? '')
    },
    async stands(id) {
      const { headers, body } = await send(connection, at(id), { ...SMALL, method: 'HEAD', headers: VERSION })
      await body.dump()
      return { offset: offsetIn(headers), metadata: read(firstValue(headers['upload-metadata']) ?? '') }
    },
    async append(id, offset, { body: bytes, bytes: left, signal }) {
      const { headers, body } = await send(connection, at(id), {
        method: 'PATCH',
        headers: {
          ...VERSION,
          'content-type': 'application/offset+octet-stream',
          'content-length': String(left),
          'upload-offset': String(offset),
        },
        // Undici takes any iterable, and waits for the socket before it asks for more.
        body: bytes as unknown as Readable,
        headersTimeout: ANSWER_WITHIN_MS,
        signal,
      })
      await body.dump()
      return offsetIn(headers)
    },
  }
}

/** What of it is as with all uploads. */
function uploadsOf(calls: Calls): Pick<Tus, 'get' | 'named' | 'remove'> {
  return {
    get: (upload) => answer(calls.GET('/v1/uploads/{upload}', { params: { path: { upload } } })),
    async named(name) {
      const found: Upload[] = []
      let pageToken: string | undefined
      do {
        const query = { pageSize: 200, ...(pageToken === undefined ? {} : { pageToken }) }
        const page = await answer(calls.GET('/v1/uploads', { params: { query } }))
        found.push(...page.items.filter((upload) => upload.name === name))
        pageToken = page.nextPageToken
      } while (pageToken !== undefined)
      return found
    },
    async remove(upload) {
      await answer(calls.DELETE('/v1/uploads/{upload}', { params: { path: { upload } } }))
    },
  }
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

function offsetIn(headers: Headers): number {
  const offset = Number(firstValue(headers['upload-offset']) ?? Number.NaN)
  if (Number.isSafeInteger(offset)) return offset
  throw new CommandFailure('what answers in place of the daemon does not say how far the upload is (Upload-Offset)')
}

/** What has no such route, or does not let it through. */
const ABSENT: ReadonlySet<number> = new Set([404, 405, 415, 501])

function unlessAbsent(error: unknown): { headers: Headers; body?: undefined } {
  if (error instanceof ApiProblem && ABSENT.has(error.problem.status)) return { headers: {} }
  throw error
}

/** Source: tus 1.0.0 "Upload-Metadata". */
function written(metadata: Readonly<Record<string, string>>): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',')
}

function read(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.trim().split(' '))
  return Object.fromEntries(pairs.map(([key = '', value = '']) => [key, Buffer.from(value, 'base64').toString()]))
}
