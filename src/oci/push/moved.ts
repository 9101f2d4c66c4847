import { MAX_HOPS } from '../request/redirect.ts'
import type { RegistryRequest, RegistryResponse } from '../request/transport.ts'
import { advance, type BlobPush } from './push-state.ts'
import { newestLocation } from './sessions/upload-requests.ts'
import type { OpenSession } from './sessions/upload-session.ts'

/** The upload goes on at another address: nothing of the body counts as taken, and it is opened again for there. */
export async function moved(
  push: BlobPush,
  session: OpenSession,
  { request, response }: { request: RegistryRequest; response: RegistryResponse },
): Promise<void> {
  const { context } = push
  push.moves += 1
  if (push.moves > MAX_HOPS)
    throw await context.transport.error(request, response, `it redirects more than ${MAX_HOPS} times`)
  if (response.header('location') === undefined)
    throw await context.transport.error(request, response, 'there is no Location')
  const location = newestLocation(context, response, session.location)
  response.abandon()
  push.flowing = false
  await advance(push, { type: 'stands', location, offset: session.offset })
}
