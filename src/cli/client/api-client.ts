import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { systemClock } from '../../lib/clock.ts'
import { trimEndOf } from '../../lib/text.ts'
import { type Calls, type Connection, createCalls } from './calls.ts'
import type { FleetEvent, JobEvent, Upload } from './contract.ts'
import { firstValue, send } from './exchange.ts'
import { ApiProblem } from './problems.ts'
import { type ResumableOptions, sendResumably } from './resumable-upload.ts'
import { openSentFile } from './sent-file.ts'
import { createTus } from './tus.ts'

export interface ApiClientOptions {
  /** http://127.0.0.1:8420 */
  url: string
  token: string | undefined
  signal: AbortSignal
}

export type StreamedEvent = JobEvent & { id?: string }

/** The public HTTP API, as curl would use it. */
export interface ApiClient {
  readonly calls: Calls
  /** Sends a file in one request. Throws ApiProblem. */
  upload(path: string, how: SendOptions): Promise<Upload>
  /** Sends a file so that it goes on where it breaks off (sendResumably); undefined: this daemon takes none so. Throws ApiProblem, CommandFailure. */
  uploadResumably(path: string, options: Omit<ResumableOptions, 'signal'>): Promise<Upload | undefined>
  /** The job's events from now (or after `lastEventId`) to its end; a broken connection is taken up where it broke. */
  events(jobId: string): AsyncIterable<StreamedEvent>
  /** What happens to all jobs that the filters let through, without end. Throws ApiProblem. */
  allEvents(filters: URLSearchParams): AsyncIterable<FleetEvent>
  /** A body of text as it comes, for as long as it comes. Throws ApiProblem. */
  text(path: string, accept: string): AsyncIterable<string>
  /** A body of bytes as it comes. Throws ApiProblem. */
  open(path: string, headers: Record<string, string>): Promise<Readable>
  /** A body as a stream, from `offset` on. Throws ApiProblem. */
  download(path: string, options: { offset: number; etag?: string }): Promise<Download>
}

export interface Download {
  /** Where the body begins; 0 when the daemon had to begin anew. */
  offset: number
  body: Readable
  etag: string | undefined
  fileName: string | undefined
  /** Bytes of the whole, when told. */
  size: number | undefined
}

const RECONNECT_MS = 1000
/** For a minute: a restart of the daemon takes seconds. */
const RECONNECT_ATTEMPTS = 60
/** Longer than the daemon's heartbeat of 15 s: silence past it means that the connection is dead. */
const SILENCE_MS = 45_000

export function createApiClient(options: ApiClientOptions): ApiClient {
  const connection: Connection = {
    base: trimEndOf(options.url, '/'),
    authorization: options.token === undefined ? {} : { authorization: `Bearer ${options.token}` },
    signal: options.signal,
  }
  const calls = createCalls(connection)
  return {
    calls,
    upload: (path, how) => sendFile(connection, path, how),
    async uploadResumably(path, how) {
      const tus = createTus(connection, calls)
      if (!(await tus.offered())) return undefined
      await using file = await openSentFile(path)
      return await sendResumably(tus, file, { ...how, signal: connection.signal })
    },
    events: (jobId) => followEvents(connection, jobId),
    allEvents: (filters) => followStream<FleetEvent>(connection, `/v1/events?${filters.toString()}`),
    text: (path, accept) => readText(connection, path, accept),
    open: async (path, headers) => (await send(connection, path, { method: 'GET', headers, bodyTimeout: 0 })).body,
    download: (path, from) => openDownload(connection, path, from),
  }
}

/** How a file is sent in one request. */
export interface SendOptions {
  onBytes: (sent: number, total: number) => void
  /** It is for an artifact, whatever its name ends in. Default: a package. */
  asFile?: boolean
}

async function sendFile(
  connection: Connection,
  path: string,
  { onBytes, asFile = false }: SendOptions,
): Promise<Upload> {
  const { size } = await stat(path)
  const file = createReadStream(path, { highWaterMark: 1024 * 1024 })
  let sent = 0
  file.on('data', (chunk) => {
    sent += chunk.length
    onBytes(sent, size)
  })
  const query = asFile ? '?as=file' : ''
  const response = await send(connection, `/v1/uploads/${encodeURIComponent(basename(path))}${query}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
    body: file,
    headersTimeout: 0,
  })
  return (await response.body.json()) as Upload
}

async function* followEvents(connection: Connection, jobId: string): AsyncIterable<StreamedEvent> {
  for await (const event of followStream<StreamedEvent>(connection, `/v1/jobs/${encodeURIComponent(jobId)}/events`)) {
    yield event
    if (event.type === 'end') return
  }
}

async function* followStream<T extends { id?: string }>(connection: Connection, path: string): AsyncIterable<T> {
  let lastEventId: string | undefined
  for (;;) {
    const body = await openEvents(connection, path, lastEventId)
    if (!body) return
    for await (const event of eventLines<T>(body)) {
      lastEventId = event.id ?? lastEventId
      yield event
    }
    await systemClock.sleep(RECONNECT_MS, connection.signal)
  }
}

/** The stream after the last id, or undefined when all of it was read. A daemon that restarts is waited for. */
async function openEvents(
  connection: Connection,
  path: string,
  lastEventId: string | undefined,
): Promise<Readable | undefined> {
  const resume: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await send(connection, path, {
        method: 'GET',
        headers: { accept: 'application/x-ndjson', ...resume },
        bodyTimeout: SILENCE_MS,
      })
      return response.statusCode === 204 ? undefined : response.body
    } catch (error) {
      const again = lastEventId !== undefined && error instanceof ApiProblem && error.problem.retryable
      if (!again || attempt === RECONNECT_ATTEMPTS) throw error
      await systemClock.sleep(RECONNECT_MS, connection.signal)
    }
  }
}

async function* readText(connection: Connection, path: string, accept: string): AsyncIterable<string> {
  const { body } = await send(connection, path, { method: 'GET', headers: { accept }, bodyTimeout: 0 })
  for await (const chunk of body.setEncoding('utf8')) yield chunk as string
}

async function openDownload(
  connection: Connection,
  path: string,
  { offset, etag }: { offset: number; etag?: string },
): Promise<Download> {
  const condition: Record<string, string> = etag === undefined ? {} : { 'if-range': etag }
  const response = await send(connection, path, {
    method: 'GET',
    headers: offset === 0 ? {} : { range: `bytes=${offset}-`, ...condition },
  })
  const header = (name: string) => firstValue(response.headers[name])
  const length = Number(header('content-length') ?? Number.NaN)
  const from = response.statusCode === 206 ? offset : 0
  return {
    offset: from,
    body: response.body,
    etag: header('etag'),
    fileName: /filename="([^"]+)"/.exec(header('content-disposition') ?? '')?.[1],
    size: Number.isFinite(length) ? from + length : undefined,
  }
}

/** Lines until the stream ends or breaks; the caller asks again after the last id. */
async function* eventLines<T>(body: Readable): AsyncIterable<T> {
  const lines = createInterface({ input: body, crlfDelay: Number.POSITIVE_INFINITY })
  let broken: unknown
  body.once('error', (error) => {
    broken = error
    lines.close()
  })
  for await (const line of lines) {
    if (line.trim() !== '') yield JSON.parse(line) as T
  }
  if (broken instanceof Error && broken.name === 'AbortError') throw broken
}
