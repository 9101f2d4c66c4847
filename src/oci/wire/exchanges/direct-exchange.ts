import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { type buildConnector, Client, type Dispatcher, errors } from 'undici'
import { ReadRing } from '../../../content/read-ring.ts'
import { abortReason, throwIfAborted } from '../../../lib/abort.ts'
import { connectionUse } from '../connections/connection-times.ts'
import type { ConnectorFor } from '../connections/connectors.ts'
import { type Exchange, type ReceivedAnswer, toResponse } from './exchange.ts'
import { checkFraming, framingError } from './framing.ts'
import { networkError } from '../../errors/network-errors.ts'
import { beforeSend, onConnection } from '../../request/hooks.ts'
import type { RegistryRequest, RegistryResponse } from '../../request/transport.ts'

/** From here on a connection of its own costs less than what it saves. */
export const DIRECT_MIN_BYTES = 2 * 1024 * 1024
const HEAD_BYTES = 64 * 1024

/** Whether what is asked for is known to be large. */
export function isLarge({ method, expectedBytes = 0 }: RegistryRequest): boolean {
  return method === 'GET' && expectedBytes >= DIRECT_MIN_BYTES
}

export interface DirectConnections {
  connectorFor: ConnectorFor
  /** The connections that are open, to be closed at the end. */
  open: Set<Dispatcher>
}

/**
 * A GET of a large body over a connection of its own. undici sends the request and reads the answer's head; a body of
 * known length then goes from the socket into a ring of buffers. Read through undici each 64 KiB takes a new buffer and is
 * copied into its parser, and the collector's work for these costs as much as the reading (docs/adr/0010).
 */
export async function directExchange(call: Exchange, connections: DirectConnections): Promise<RegistryResponse> {
  const { facts, signal } = call
  throwIfAborted(signal)
  const fetch = new DirectFetch(call, connections)
  try {
    return toResponse(call, await fetch.send())
  } catch (error) {
    fetch.close()
    throw signal.aborted ? abortReason(signal) : networkError(facts, error)
  }
}

class DirectFetch implements Dispatcher.DispatchHandler {
  readonly #call: Exchange
  readonly #connections: DirectConnections
  readonly #client: Client
  readonly #answered = Promise.withResolvers<ReceivedAnswer>()
  /** What is read before the body, in turn. */
  readonly #head = Buffer.allocUnsafe(HEAD_BYTES)
  #socket: Socket | undefined
  #ring: ReadRing | undefined
  #stream: Readable | undefined
  readonly #onAbort = (): void => this.#end(this.#call.signal.reason)

  constructor(call: Exchange, connections: DirectConnections) {
    this.#call = call
    this.#connections = connections
    this.#client = new Client(call.facts.url.origin, { connect: this.#connector(), allowH2: false })
    connections.open.add(this.#client)
    call.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  send(): Promise<ReceivedAnswer> {
    const { facts, headers, headersTimeoutMs: headersTimeout } = this.#call
    const path = `${facts.url.pathname}${facts.url.search}`
    // The connection serves this request alone. Silence is watched here, because undici does not see the body.
    const options = { path, method: 'GET' as const, headers, headersTimeout, bodyTimeout: 0, reset: true }
    this.#client.dispatch(options, this)
    return this.#answered.promise
  }

  close(): void {
    this.#end(new errors.RequestAbortedError())
  }

  onRequestStart(): void {
    const { hooks, facts } = this.#call
    beforeSend(hooks, facts)
    onConnection(hooks, facts, connectionUse(this.#socket))
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    checkFraming('GET', headers)
    const size = bodySize(statusCode, headers)
    this.#watchSilence()
    const close = () => this.close()
    if (size !== undefined) {
      this.#ring = new ReadRing({ size, onRoom: () => this.#readOn(), onReturn: close })
    } else {
      this.#stream = new Readable({ read: () => controller.resume() })
    }
    const body = this.#ring ?? (this.#stream as AsyncIterable<Buffer>)
    this.#answered.resolve({ statusCode, headers: { ...headers }, body, close, discard: close })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#ring) this.#ring.copy(chunk)
    else if (!this.#stream?.push(chunk)) controller.pause()
    this.#endIfWhole()
  }

  onResponseEnd(): void {
    this.#stream?.push(null)
    this.#end()
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#end(framingError(error, this.#ring !== undefined || this.#stream !== undefined))
  }

  #connector(): buildConnector.connector {
    const connect = this.#connections.connectorFor(this.#call.facts.url.origin, {
      buffer: () => this.#ring?.space ?? this.#head,
      callback: (bytes, buffer) => this.#onRead(bytes, buffer),
    })
    return (to, callback) =>
      connect(to, (...answer) => {
        this.#socket = answer[1] ?? undefined
        callback(...answer)
      })
  }

  /** What came from the socket; false stops the reading. */
  #onRead(bytes: number, buffer: Uint8Array): boolean {
    const ring = this.#ring
    if (!ring) return this.#socket?.push(Buffer.copyBytesFrom(buffer, 0, bytes)) ?? false
    // The first read after the head was still asked for with the head's buffer.
    const more = buffer.buffer === this.#head.buffer ? ring.copy(this.#head.subarray(0, bytes)) : ring.received(bytes)
    this.#endIfWhole()
    return more
  }

  #readOn(): void {
    this.#watchSilence()
    this.#socket?.read(0)
  }

  #watchSilence(): void {
    // Given with each setTimeout() it would be one listener more each time.
    if (!this.#socket?.listeners('timeout').includes(this.#onSilence)) this.#socket?.on('timeout', this.#onSilence)
    this.#socket?.setTimeout(this.#call.bodyTimeoutMs)
  }

  /** A far end that waits because we do is not silent. */
  readonly #onSilence = (): void => {
    if (this.#ring?.paused || this.#stream?.readableFlowing === false) return
    this.#end(new errors.BodyTimeoutError())
  }

  #endIfWhole(): void {
    if (this.#ring?.left === 0) this.#end()
  }

  /** Closes the connection. With a reason, what waits for more fails with it. */
  #end(reason?: unknown): void {
    const { signal } = this.#call
    signal.removeEventListener('abort', this.#onAbort)
    this.#connections.open.delete(this.#client)
    if (reason !== undefined) {
      this.#answered.reject(reason)
      this.#ring?.fail(reason)
      this.#stream?.on('error', () => undefined).destroy(reason as Error)
    }
    this.#client.destroy().catch(() => undefined)
  }
}

/** How long the body is, where it can be taken from the socket as it comes. */
function bodySize(status: number, headers: IncomingHttpHeaders): number | undefined {
  if (status !== 200 && status !== 206) return undefined
  if (headers['transfer-encoding'] !== undefined) return undefined
  const size = Number(/^\d+$/.exec(headers['content-length'] ?? '')?.[0])
  return size >= DIRECT_MIN_BYTES ? size : undefined
}
