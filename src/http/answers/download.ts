import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError, toAppError } from '../../lib/errors.ts'
import type { OpenAnswers } from './open-answers.ts'
import { chooseRange, isKnownTag } from './conditional.ts'

/** Bytes that are always the same, readable from anywhere. */
export interface Download {
  readonly fileName: string
  readonly mediaType: string
  /** Default: saved rather than shown. */
  readonly disposition?: 'inline'
  /** Bytes. */
  readonly size: number
  /** A strong validator, quoted. */
  readonly etag: string
  open(range: { start: number; end: number; signal: AbortSignal }): AsyncIterable<Uint8Array>
}

export interface SendOptions {
  download: Download
  signal: AbortSignal
  openDownloads: OpenAnswers
  /** Called when the last byte of the download, by whatever range, is with the client. */
  onFetched?: (() => void) | undefined
}

/**
 * Answers GET and HEAD of a download: 200, 206, 304, or 416 with the size. Throws RANGE_NOT_SATISFIABLE, DOWNLOADS_TOO_MANY. The stream ends
 * with the connection, and with `signal`. Source: RFC 9110 13 and 14, RFC 6266.
 */
export function sendDownload(
  request: FastifyRequest,
  reply: FastifyReply,
  { download, signal, openDownloads, onFetched }: SendOptions,
): FastifyReply {
  const { size, etag } = download
  const isHead = request.method === 'HEAD'
  if (isKnownTag(request.headers['if-none-match'], etag)) return reply.code(304).headers(validators(etag)).send()
  // RFC 9110 14.2: Range is for GET alone.
  const range = isHead ? 'whole' : chooseRange(request.headers, download)
  if (range === 'unsatisfiable') {
    void reply.header('content-range', `bytes */${size}`)
    throw new AppError('RANGE_NOT_SATISFIABLE', `the range "${request.headers.range}" lies outside ${size} bytes`, {
      hint: 'Ask for a range inside the size, or for all of it without Range.',
      details: { size },
    })
  }
  if (!isHead) openDownloads.take(request, reply)
  const { start, end } = range === 'whole' ? { start: 0, end: size } : range
  void reply.headers({
    ...validators(etag),
    'accept-ranges': 'bytes',
    'content-type': download.mediaType,
    'content-length': String(end - start),
    'content-disposition': contentDisposition(download),
  })
  if (range !== 'whole') void reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${size}`)
  if (isHead) return reply.send()
  const sent = { bytes: 0 }
  // One chunk waits in here while the socket takes another, so the source may use its buffers again (ByteStream).
  const stream = Readable.from(counted(download.open({ start, end, signal }), sent), { highWaterMark: 1 })
  if (onFetched && end === size) {
    const isWhole = () => sent.bytes === end - start && stream.readableLength === 0
    whenTaken(request, reply, { isWhole, onTaken: onFetched })
  }
  endWith(signal, stream, request)
  return reply.send(stream)
}

/** One that waits for a client that reads nothing would wait on: nobody asks for the next chunk, which is refused. */
function endWith(signal: AbortSignal, stream: Readable, request: FastifyRequest): void {
  const end = (): void => {
    if (!request.signal.aborted) stream.destroy(toAppError(signal.reason))
  }
  signal.addEventListener('abort', end, { once: true })
  stream.once('close', () => signal.removeEventListener('abort', end))
}

async function* counted(source: AsyncIterable<Uint8Array>, sent: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    sent.bytes += chunk.byteLength
    yield chunk
  }
}

/**
 * Many clients close as soon as they have what Content-Length said, before the answer has come to its own end here. That is
 * as good as an end; a client that gave up with bytes unread resets the connection instead.
 */
function whenTaken(
  request: FastifyRequest,
  { raw }: FastifyReply,
  { isWhole, onTaken }: { isWhole: () => boolean; onTaken: () => void },
): void {
  const { socket } = request.raw
  raw.once('close', () => {
    const closedByClient = socket.errored === null && socket.readableEnded && socket.writableLength === 0
    if (raw.writableFinished || (isWhole() && closedByClient)) onTaken()
  })
}

function validators(etag: string): Record<string, string> {
  return { etag, 'cache-control': 'no-cache' }
}

/** A version is free text, and a header is not: the plain name has ASCII alone, `filename*` all of it. */
function contentDisposition({ fileName, disposition }: Download): string {
  const plain = fileName.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_')
  const encoded = encodeURIComponent(fileName.toWellFormed()).replaceAll(/['()*]/g, percent)
  return `${disposition ?? 'attachment'}; filename="${plain}"${plain === fileName ? '' : `; filename*=UTF-8''${encoded}`}`
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}
