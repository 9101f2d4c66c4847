import type { RegistryRequest, RegistryResponse } from '../../request/transport.ts'
import type { BodyPace } from '../exchanges/body-pace.ts'
import type { BodyPlace } from '../pace/body-places.ts'
import type { ByteLine } from '../pace/byte-line.ts'
import type { LocatedPassage, Send } from './passage.ts'
import { waitOf } from './waits.ts'

/**
 * The body of a blob, up or down, has a place among those that its registry may have at once, until it is over; and its
 * bytes go as its registry may have them. It waits before it is looked who asks: a token would run out meanwhile.
 */
export async function bodies(passage: LocatedPassage, next: Send<LocatedPassage>): Promise<RegistryResponse> {
  const { sender, request } = passage
  const limits = isBody(request) && sender.paced ? sender.context.bodies.of(sender.registry) : undefined
  if (!limits) return await next(passage)
  const place = await limits.places.take(waitOf(passage, 0))
  try {
    const { body } = request
    if (Buffer.isBuffer(body)) await limits.bytes.take(body.length, waitOf(passage, 0))
    const bodyPace = paceOf(limits.bytes, place, passage)
    const response = await next({ ...passage, bodyPace })
    // What was sent is over with its answer; what comes rests until somebody reads it.
    if (body === undefined) place.rest()
    else place.end()
    return body === undefined ? released(response, () => place.end()) : response
  } catch (error) {
    place.end()
    throw error
  }
}

/** What is asked in the bulk lane brings a blob or is one, but for the commit of what was sent; a small one goes with its POST. */
function isBody({ lane, method, body }: RegistryRequest): boolean {
  return lane === 'bulk' ? body !== undefined || method === 'GET' : method === 'POST' && body !== undefined
}

function paceOf(line: ByteLine, place: BodyPlace, passage: LocatedPassage): BodyPace {
  const waiting = waitOf(passage, 0)
  return {
    take: (bytes) => line.take(bytes, waiting),
    pieces: (chunk) => line.pieces(chunk),
    rest: () => place.rest(),
    go: () => place.go(),
  }
}

/** The same answer, whose end is told. */
function released(response: RegistryResponse, release: () => void): RegistryResponse {
  const { body } = response
  return {
    ...response,
    body: untilEnd(body, release),
    abandon() {
      release()
      response.abandon()
    },
    async bytes(...limits) {
      try {
        return await response.bytes(...limits)
      } finally {
        release()
      }
    },
    async discard() {
      release()
      await response.discard()
    },
  }
}

/** Without a generator of its own, which would take each chunk through two more promises. */
function untilEnd(body: AsyncIterable<Buffer>, release: () => void): AsyncIterable<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      const chunks = body[Symbol.asyncIterator]()
      return {
        async next() {
          try {
            const found = await chunks.next()
            if (found.done) release()
            return found
          } catch (error) {
            release()
            throw error
          }
        },
        async return() {
          release()
          await chunks.return?.()
          return { done: true, value: undefined }
        },
      }
    },
  }
}
