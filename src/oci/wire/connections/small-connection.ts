import type { Socket } from 'node:net'
import { errors } from 'undici'
import type { ConnectionUse } from '../../request/hooks.ts'
import { AnswerParser } from './answer-parser.ts'
import { connectionUse } from './connection-times.ts'
import type { ConnectorFor } from './connectors.ts'
import { watchSending } from './send-stalls.ts'

const READ_BYTES = 16 * 1024
/** Codes of the parser for what does not begin as an answer does. */
const NO_ANSWER = new Set(['HPE_INVALID_CONSTANT', 'HPE_INVALID_STATUS'])

export interface ConnectionOptions {
  connectorFor: ConnectorFor
  sendIdleMs: number
}

/** A request whose head and body are at hand. */
export interface SmallRequest {
  method: string
  /** The whole of it, up to the empty line. */
  head: string
  body?: Buffer
  headersTimeoutMs: number
  bodyTimeoutMs: number
  /** So many bytes of the answer's body have come in all; told with its head, and as it grows. */
  onBody?: (bytes: number) => void
}

export interface SmallAnswer {
  statusCode: number
  headers: Record<string, string>
  body: Buffer
  /** When its head came, performance.now(), where the rest of it came later. */
  headAt?: number
  /** Why the body is not whole. */
  broken?: Error
}

interface Flight {
  parser: AnswerParser
  bodyTimeoutMs: number
  onBody: SmallRequest['onBody']
  timer: NodeJS.Timeout
  headAt?: number
  resolve: (answer: SmallAnswer) => void
  reject: (error: unknown) => void
}

/** One connection that carries small requests, one after another: head and body in one write, no streams. */
export class SmallConnection {
  /** It has waited for its request: the far end may have closed it meanwhile. */
  waited = false
  /** When its last answer came, or it was made; performance.now(). */
  idleSince = 0
  /** How long the far end keeps it open unused, as it says. */
  keepMs = Infinity
  /** The far end closed it in place of an answer, be it that it had closed it before the request. */
  unanswered = false
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES)
  #socket: Socket | undefined
  #flight: Flight | undefined
  #failure: unknown

  static async open(
    origin: URL,
    { connectorFor, sendIdleMs }: ConnectionOptions,
    onClose: (connection: SmallConnection) => void,
  ): Promise<SmallConnection> {
    const connection = new SmallConnection()
    const connector = connectorFor(origin.origin, {
      buffer: connection.#buffer,
      callback: (bytes) => connection.#onRead(bytes),
    })
    const { host, protocol, port } = origin
    const hostname = origin.hostname.replace(/^\[(.*)\]$/, '$1')
    const socket = await new Promise<Socket>((resolve, reject) => {
      connector({ host, hostname, protocol, port }, (error, opened) => (error ? reject(error) : resolve(opened)))
    })
    connection.#take(socket, sendIdleMs)
    socket.once('close', () => onClose(connection))
    return connection
  }

  /** Whether it can carry a request. */
  get ready(): boolean {
    return this.#socket?.writable === true && !this.#flight
  }

  /** For a request that it is about to carry. */
  use(): ConnectionUse | undefined {
    return connectionUse(this.#socket)
  }

  send(request: SmallRequest): Promise<SmallAnswer> {
    if (!this.ready) {
      this.unanswered = true
      return Promise.reject(this.#lost())
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.close(new errors.HeadersTimeoutError()), request.headersTimeoutMs)
      const { bodyTimeoutMs, onBody, head, body } = request
      this.#flight = { parser: new AnswerParser(request.method), bodyTimeoutMs, onBody, timer, resolve, reject }
      if (body === undefined || body.length === 0) this.#socket?.write(head, 'latin1')
      else this.#socket?.write(joined(head, body))
    })
  }

  /** What waits for an answer fails with the reason. */
  close(reason?: unknown): void {
    this.#failure ??= reason
    this.#socket?.destroy()
    if (reason !== undefined) this.#fail()
  }

  #take(socket: Socket, sendIdleMs: number): void {
    this.#socket = socket
    this.idleSince = performance.now()
    watchSending(socket, sendIdleMs)
    socket.on('error', (error) => (this.#failure ??= error))
    socket.on('close', () => this.#fail())
  }

  /** False stops the reading. */
  #onRead(bytes: number): boolean {
    const flight = this.#flight
    if (!flight) {
      // Nobody asked: a body after a HEAD, or the complaint of a server that closes.
      this.#socket?.destroy()
      return false
    }
    const { parser } = flight
    try {
      const inBody = parser.headRead
      const isWhole = parser.take(this.#buffer.subarray(0, bytes))
      if (parser.headRead) flight.onBody?.(parser.bodyBytes)
      if (isWhole) this.#answered(flight)
      else if (inBody) flight.timer.refresh()
      else if (parser.headRead) this.#watchBody(flight)
      return true
    } catch (error) {
      // A server that sends a body with its answer to a HEAD breaks the request that comes next.
      const stray = this.waited && NO_ANSWER.has((error as NodeJS.ErrnoException).code ?? '')
      this.close(stray ? new errors.SocketError('what came was no answer') : error)
      return false
    }
  }

  #watchBody(flight: Flight): void {
    flight.headAt = performance.now()
    clearTimeout(flight.timer)
    flight.timer = setTimeout(() => this.close(new errors.BodyTimeoutError()), flight.bodyTimeoutMs)
  }

  #answered(flight: Flight, failure?: Error): void {
    const { headAt, parser } = flight
    const { statusCode, headers, body, reusable, cut } = parser
    const broken = cut ? new errors.ResponseExceededMaxSizeError() : failure
    clearTimeout(flight.timer)
    this.#flight = undefined
    this.idleSince = performance.now()
    const seconds = /\btimeout=(\d{1,6})\b/i.exec(headers['keep-alive'] ?? '')?.[1]
    if (seconds !== undefined) this.keepMs = Number(seconds) * 1000
    // An answer that came before the request was out: the rest of it would be in the way of the next.
    if (!reusable || broken || this.#socket?.writableLength !== 0) this.#socket?.destroy()
    flight.resolve({
      statusCode,
      headers,
      body,
      ...(headAt === undefined ? {} : { headAt }),
      ...(broken ? { broken } : {}),
    })
  }

  /** The connection is gone. */
  #fail(): void {
    const flight = this.#flight
    if (!flight) return
    const { parser } = flight
    const failure = this.#failure
    if (failure === undefined && parser.end()) return this.#answered(flight)
    const error = this.#lost()
    // A status that has come says more than what became of the text after it.
    if (parser.headRead && parser.statusCode >= 200) return this.#answered(flight, error)
    this.#flight = undefined
    clearTimeout(flight.timer)
    this.unanswered = !parser.begun && (failure === undefined || isReset(failure))
    return flight.reject(error)
  }

  #lost(): Error {
    const failure = this.#failure
    return failure instanceof Error ? failure : new errors.SocketError('the far end closed the connection')
  }
}

function isReset(failure: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes((failure as NodeJS.ErrnoException).code ?? '')
}

function joined(head: string, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(head.length + body.length)
  bytes.write(head, 'latin1')
  body.copy(bytes, head.length)
  return bytes
}
