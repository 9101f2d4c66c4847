import { toAppError } from '../lib/errors.ts'
import { failed } from './blob-commit.ts'
import { advance, type BlobPush, storedOrLost, tellStart } from './push-state.ts'
import { pushScope } from './repository-context.ts'
import type { RegistryRequest } from './transport.ts'
import { bytesFromRange } from './upload-location.ts'
import { commitRequest, newestLocation, OCTET_STREAM_HEADERS, sessionStatus, uploadLost } from './upload-requests.ts'
import type { UploadSession } from './upload-session.ts'

/** Up to here a blob goes as one PUT: a third request gains nothing. */
const MONOLITHIC_MAX = 8 * 1024 * 1024

type OpenSession = Extract<UploadSession, { at: 'open' }>

/** Sends everything from the session's offset on, in one request. */
export async function sendBytes(push: BlobPush, session: OpenSession): Promise<void> {
  const { context, descriptor, body } = push
  const whole = session.offset === 0 && descriptor.size <= MONOLITHIC_MAX
  // Bytes that an earlier process sent can't be hashed here without reading the source all over again.
  if (session.offset > body.sent) body.trust(session.offset)
  // The registry looks at the token when a request begins, and a body can't be taken back.
  await context.transport.refreshAuth(pushScope(context), push.call.signal)
  tellStart(push, session.offset)
  let response
  try {
    response = await context.transport.send(whole ? wholeRequest(push, session) : streamRequest(push, session))
  } catch (error) {
    throw await failed(push, toAppError(error))
  }
  await response.discard()
  if (response.status === 416) return askAgain(push, session.offset)
  if (response.status >= 400) {
    return storedOrLost(push, `it answered ${response.status} to the bytes from ${session.offset} on`)
  }
  if (whole) return finishWhole(push, response.status)
  const location = newestLocation(response, session.location)
  await advance(push, { type: 'accepted', location, offset: descriptor.size })
  await checkShortfall(push, location, bytesFromRange(response.header('range')))
  return advance(push, { type: 'complete' })
}

/** PUT with the body: the last chunk is handed over only when the digest was found right, so it can't complete wrong. */
function wholeRequest(push: BlobPush, session: OpenSession): RegistryRequest {
  const { size, digest } = push.descriptor
  return {
    ...commitRequest(push.context, { location: session.location, digest }, push.call),
    ...(size === 0 ? {} : { body: push.body.from(0), contentLength: size }),
    op: 'push blob',
  }
}

/** From the start: chunked, as docker sends it. From an offset: with the range, so that a registry that checks it can refuse. */
function streamRequest(push: BlobPush, session: OpenSession): RegistryRequest {
  const { size } = push.descriptor
  const resumed = session.offset > 0
  return {
    method: 'PATCH',
    target: session.location,
    headers: {
      ...OCTET_STREAM_HEADERS,
      ...(resumed ? { 'content-range': `${session.offset}-${size - 1}` } : {}),
    },
    body: push.body.from(session.offset),
    ...(resumed ? { contentLength: size - session.offset } : {}),
    scopes: pushScope(push.context),
    lane: 'bulk',
    op: 'push blob',
    ...push.call,
  }
}

/**
 * The registry stands elsewhere than it said: bytes of the request that broke off were still on their way into it. The
 * next try asks again; how far they went is not known.
 */
async function askAgain(push: BlobPush, offset: number): Promise<void> {
  await advance(push, { type: 'cut', sent: push.descriptor.size })
  throw uploadLost(push.context, push.descriptor.digest, `it no longer stands at byte ${offset}`)
}

async function finishWhole(push: BlobPush, status: number): Promise<void> {
  if (status === 201) return advance(push, { type: 'committed' })
  return storedOrLost(push, `it answered ${status} to the whole blob`)
}

/** A Range may be stuck (ECR) or of the registry's own making (Artifactory): it counts only when a status request agrees. */
async function checkShortfall(push: BlobPush, location: URL, told: number | undefined): Promise<void> {
  const { size, digest } = push.descriptor
  if (told === undefined || told >= size) return
  const status = await sessionStatus(push.context, location, push.call)
  if (!status.alive || status.offset === undefined || status.offset >= size) return
  await advance(push, { type: 'stands', location: status.location, offset: status.offset })
  throw uploadLost(push.context, digest, `it kept only ${status.offset} of ${size} bytes`)
}
