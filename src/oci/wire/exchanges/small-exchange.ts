import { Pieces } from '../../../content/streams.ts'
import { abortReason, throwIfAborted } from '../../../lib/abort.ts'
import { type Exchange, toResponse, watchSource } from './exchange.ts'
import { networkError } from '../../errors/network-errors.ts'
import type { SmallAnswer, SmallConnections } from '../connections/small-connections.ts'
import { type RegistryRequest, type RegistryResponse, SMALL_BYTES } from '../../request/transport.ts'

/**
 * Whether request and answer are small: a GET of the control lane brings a manifest, a list or a word. A guard is asked when
 * the connection is ready, and who asks for a range may get the whole.
 */
export function isSmall({ method, headers, body, contentLength, guard, lane }: RegistryRequest): boolean {
  if (guard) return false
  if (method === 'GET') return lane === 'control' && headers?.['range'] === undefined
  if (body === undefined) return true
  const size = Buffer.isBuffer(body) ? body.length : contentLength
  // The commit of a large blob goes where its bytes went.
  if (lane === 'bulk' && size === 0) return false
  return size !== undefined && size <= SMALL_BYTES
}

/** A small request and its answer, past undici (docs/adr/0012). As `exchange`. */
export async function smallExchange(call: Exchange, connections: SmallConnections): Promise<RegistryResponse> {
  const { facts, signal, headersTimeoutMs, bodyTimeoutMs } = call
  throwIfAborted(signal)
  const source = watchSource(call)
  const { body } = source
  const { method, url } = facts
  try {
    // Read first: a connection held meanwhile may close unseen, and be of no use when the last byte has come.
    const bytes = body === undefined ? undefined : await gather(body)
    const answer = await connections.send({
      method,
      url,
      headers: call.headers,
      ...(bytes ? { body: bytes } : {}),
      // Bytes of a blob go out again only once the registry has been asked about them.
      repeatable: body === undefined,
      facts,
      hooks: call.hooks,
      signal,
      headersTimeoutMs,
      bodyTimeoutMs,
    })
    const { headAt, broken } = answer
    const whole = { bytes: answer.body.length, headAt, broken }
    return toResponse(call, { ...answer, body: bodyOf(answer), close() {}, discard() {}, whole })
  } catch (error) {
    if (signal.aborted) throw abortReason(signal)
    if (source.failure) throw source.failure.error
    throw networkError(facts, error)
  }
}

async function gather(body: unknown): Promise<Buffer> {
  if (Buffer.isBuffer(body)) return body
  const pieces = new Pieces()
  // Chunks of so small a body are not reused before the last of them has come (ByteStream).
  for await (const chunk of body as AsyncIterable<Buffer>) pieces.push(chunk)
  const chunks = pieces.take()
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}

async function* bodyOf({ body, broken }: SmallAnswer): AsyncGenerator<Buffer> {
  if (body.length > 0) yield body
  if (broken) throw broken
}
