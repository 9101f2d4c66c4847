import { errors } from 'undici'

/** Of a head, and of what stands around the content of a body in chunks beside as much as that. */
export const MAX_HEAD_BYTES = 64 * 1024
const MAX_INTERIM = 8
const MAX_CHUNK_LINE = 1024
/** What answers to small requests bring; who sends more is not read to the end. */
export const MAX_ANSWER_BYTES = 256 * 1024
/** What a GET may bring: a manifest of 4 MiB is the largest that is read, and one byte more tells that it is too large. */
export const MAX_GOTTEN_BYTES = 4 * 1024 * 1024 + 1

const NOTHING = Buffer.alloc(0)
const CRLF = '\r\n'
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/
const CHUNK_LINE = /^([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/

type Reading = 'head' | 'sized' | 'chunk line' | 'chunk' | 'chunk end' | 'trailers' | 'rest' | 'done'

/**
 * One answer to one HTTP/1.1 request, from bytes as they come. Framing that two readers could take differently (several
 * lengths, codings other than chunked, bare line ends, folded fields) is an error and never guessed at. Chunks win over a
 * length beside them, as RFC 9112 6.3 has it, and end the connection. test/fault/framing.test.ts has the table of all rules.
 * Source: RFC 9112, sections 4 to 7.
 */
export class AnswerParser {
  statusCode = 0
  headers: Record<string, string> = {}
  /** Bytes of an answer have come. */
  begun = false
  /** Whether another request may follow on the connection. */
  reusable = false
  /** The body was too long to be read to its end. */
  cut = false
  readonly #method: string
  #reading: Reading = 'head'
  #unread: Buffer = NOTHING
  #left = 0
  #interim = 0
  readonly #kept = new KeptBytes()
  #keptBytes = 0
  /** What chunks took beside their content. */
  #framingBytes = 0

  constructor(method: string) {
    this.#method = method
  }

  get #maxBytes(): number {
    return this.#method === 'GET' && this.statusCode < 300 ? MAX_GOTTEN_BYTES : MAX_ANSWER_BYTES
  }

  /** What has come of the body. */
  get bodyBytes(): number {
    return this.#keptBytes
  }

  get headRead(): boolean {
    return this.#reading !== 'head'
  }

  get body(): Buffer {
    return this.#kept.whole()
  }

  /** Takes what came, which may be overwritten afterwards. True when the answer is whole. Throws for what is not HTTP. */
  take(bytes: Buffer): boolean {
    this.begun = true
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes])
    while (this.#reading !== 'done' && this.#step());
    if (this.#reading === 'done') {
      // Bytes that nobody asked for would be read as the next answer.
      if (this.#unread.length > 0) this.reusable = false
      return true
    }
    this.#unread = Buffer.from(this.#unread)
    return false
  }

  /** The connection has ended. True when that ends the answer. */
  end(): boolean {
    if (this.#reading === 'rest') this.#reading = 'done'
    return this.#reading === 'done'
  }

  /** Goes one step on; false when more bytes are needed. */
  #step(): boolean {
    switch (this.#reading) {
      case 'head':
        return this.#readHead()
      case 'sized':
        return this.#readSized('done')
      case 'chunk':
        return this.#readSized('chunk end')
      case 'chunk line':
        return this.#readChunkLine()
      case 'chunk end':
        return this.#readLine(2, (line) => {
          if (line !== '') throw wrong('CHUNK', 'a chunk is longer than it says')
          this.#countFraming(CRLF.length)
          this.#reading = 'chunk line'
        })
      case 'trailers':
        return this.#readLine(MAX_HEAD_BYTES, (line) => {
          this.#keptBytes += line.length
          if (line === '') this.#reading = 'done'
          else if (!FIELD.test(line) || this.#keptBytes > MAX_ANSWER_BYTES)
            throw wrong('TRAILER', 'a trailer is malformed')
        })
      case 'rest':
        return this.#readSized('rest')
      case 'done':
        return false
      default:
        return this.#reading satisfies never
    }
  }

  #readHead(): boolean {
    const end = this.#unread.indexOf('\r\n\r\n')
    const size = end < 0 ? this.#unread.length : end
    if (size > MAX_HEAD_BYTES) throw new errors.HeadersOverflowError()
    if (end < 0) {
      const start = this.#unread.toString('latin1', 0, 7)
      if (!'HTTP/1.'.startsWith(start)) throw wrong('CONSTANT', 'it is not HTTP')
      return false
    }
    const [status = '', ...fields] = this.#unread.toString('latin1', 0, end).split(CRLF)
    this.#unread = this.#unread.subarray(end + 4)
    const line = STATUS_LINE.exec(status)
    if (!line) throw wrong('STATUS', 'the status line is malformed')
    this.statusCode = Number(line[2])
    this.headers = parseFields(fields)
    if (this.statusCode >= 200) this.#frame(line[1] === '0')
    else if (this.statusCode === 101 || (this.#interim += 1) > MAX_INTERIM) {
      throw wrong('INTERIM', `${this.statusCode} was not asked for`)
    }
    return true
  }

  /** Where the body ends. */
  #frame(old: boolean): void {
    const { connection = '', 'content-length': said, 'transfer-encoding': coding } = this.headers
    this.reusable = old ? /\bkeep-alive\b/i.test(connection) : !/\bclose\b/i.test(connection)
    const toHead = this.#method === 'HEAD'
    const bare = this.statusCode === 204 || this.statusCode === 304
    // The headers of an answer to a HEAD are those of a GET, and frame nothing.
    const length = toHead ? undefined : readLength(said)
    if (!toHead) checkCoding(coding, old)
    // Who announces a body where none may be is likely to send it, and who says two things may mean either.
    const odd = bare ? coding !== undefined || (length ?? 0) > 0 : coding !== undefined && length !== undefined
    if (odd && !toHead) this.reusable = false
    if (bare || toHead) this.#reading = 'done'
    else this.#frameBody(coding, length)
  }

  #frameBody(coding: string | undefined, length: number | undefined): void {
    if (coding !== undefined) {
      this.#reading = 'chunk line'
    } else if (length !== undefined) {
      this.#left = length
      this.#reading = this.#left > 0 ? 'sized' : 'done'
    } else {
      this.#left = Infinity
      this.#reading = 'rest'
      this.reusable = false
    }
  }

  #readSized(next: Reading): boolean {
    if (this.#unread.length === 0) return false
    const part = this.#unread.subarray(0, Math.min(this.#left, this.#unread.length))
    this.#unread = this.#unread.subarray(part.length)
    this.#left -= part.length
    this.#kept.add(part, this.#left)
    this.#keptBytes += part.length
    if (this.#left === 0) this.#reading = next
    if (this.#keptBytes > this.#maxBytes && this.#reading !== 'done') {
      this.cut = true
      this.#reading = 'done'
      this.reusable = false
    }
    return true
  }

  #readChunkLine(): boolean {
    return this.#readLine(MAX_CHUNK_LINE, (line) => {
      const size = CHUNK_LINE.exec(line)?.[1]
      if (size === undefined) throw wrong('CHUNK_SIZE', 'the size of a chunk is malformed')
      this.#countFraming(line.length + CRLF.length)
      this.#left = Number.parseInt(size, 16)
      this.#reading = this.#left === 0 ? 'trailers' : 'chunk'
    })
  }

  /** Chunks of a byte each cost far more than what they bring. */
  #countFraming(bytes: number): void {
    this.#framingBytes += bytes
    if (this.#framingBytes > MAX_HEAD_BYTES + this.#keptBytes)
      throw wrong('CHUNK', 'the chunks are smaller than what is said of them')
  }

  #readLine(limit: number, take: (line: string) => void): boolean {
    const end = this.#unread.indexOf(CRLF)
    if ((end < 0 ? this.#unread.length : end + 2) > limit) throw wrong('LINE', 'a line is too long')
    if (end < 0) return false
    const line = this.#unread.toString('latin1', 0, end)
    this.#unread = this.#unread.subarray(end + 2)
    take(line)
    return true
  }
}

const LEAST_BLOCK = 1024
const LARGEST_BLOCK = 256 * 1024

/** Bytes that come in parts of any size, in few buffers: an object for each part of a byte is a hundred times the part. */
class KeptBytes {
  readonly #full: Buffer[] = []
  #block: Buffer = NOTHING
  #filled = 0

  /** `more`: how many are known to follow. */
  add(part: Buffer, more: number): void {
    for (let at = 0; at < part.length; ) {
      if (this.#filled === this.#block.length) this.#begin(part.length - at + more)
      const copied = part.copy(this.#block, this.#filled, at)
      this.#filled += copied
      at += copied
    }
  }

  whole(): Buffer {
    const last = this.#block.subarray(0, this.#filled)
    return this.#full.length === 0 ? last : Buffer.concat([...this.#full, last])
  }

  #begin(known: number): void {
    if (this.#filled > 0) this.#full.push(this.#block)
    // Of a body that ends with its connection nothing is known (Infinity).
    const coming = Number.isFinite(known) ? known : 0
    const size = Math.min(LARGEST_BLOCK, Math.max(LEAST_BLOCK, 2 * this.#block.length, coming))
    this.#block = Buffer.allocUnsafe(size)
    this.#filled = 0
  }
}

function checkCoding(coding: string | undefined, old: boolean): void {
  if (coding === undefined || (!old && coding.toLowerCase() === 'chunked')) return
  throw wrong('TRANSFER_ENCODING', 'the length of the body is ambiguous')
}

/** A length that is told several times alike is one (RFC 9110 8.6). */
function readLength(said: string | undefined): number | undefined {
  if (said === undefined) return undefined
  const [length = '', ...more] = said.split(',').map((part) => part.trim())
  if (!/^\d{1,15}$/.test(length) || more.some((other) => other !== length))
    throw wrong('CONTENT_LENGTH', 'Content-Length is no number')
  return Number(length)
}

/** Names in lower case; several different values joined by ", ". */
function parseFields(lines: readonly string[]): Record<string, string> {
  const headers = Object.create(null) as Record<string, string>
  for (const line of lines) {
    const field = FIELD.exec(line)
    if (!field) throw wrong('HEADER', 'a header is malformed')
    const name = (field[1] as string).toLowerCase()
    const value = (field[2] as string).trim()
    const before = headers[name]
    if (before === undefined) headers[name] = value
    // The same said twice is said once.
    else if (before !== value) headers[name] = `${before}, ${value}`
  }
  return headers
}

/** Told apart from network faults by its code, as the errors of undici's parser are. */
function wrong(code: string, message: string): Error {
  return Object.assign(new Error(message), { code: `HPE_INVALID_${code}` })
}
