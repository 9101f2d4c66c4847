import { type AppError, toAppError } from '../../lib/errors.ts'
import { failed, isGatewayTimeout } from './blob-commit.ts'
import { saidBy } from '../errors/errors.ts'
import { learnCut, learnRequest, learnTooLarge, SHORTEST_DEADLINE_MS } from '../facts/learned-facts.ts'
import { moved } from './moved.ts'
import { completedOtherwise, doubtGuess, dropProfile, isRiskyGuess } from './other-ways.ts'
import { advance, type BlobPush, cutInto, storedOrLost, tellStart } from './push-state.ts'
import { outOfRange } from './range-refusals.ts'
import { pushScope } from '../request/repository-context.ts'
import { isRedirect } from '../request/redirect.ts'
import type { RegistryRequest, RegistryResponse } from '../request/transport.ts'
import { bytesFromRange } from './sessions/upload-location.ts'
import { mustShrink, nextStep, type UploadStep } from './parts/upload-plan.ts'
import {
  commitRequest,
  newestLocation,
  OCTET_STREAM_HEADERS,
  sessionStatus,
  uploadLost,
} from './sessions/upload-requests.ts'
import type { OpenSession } from './sessions/upload-session.ts'

/** A registry that takes one PATCH alone refuses the second with one of these. */
const PART_REFUSALS = [400, 405, 411, 501]
/** So do those that take no bytes with the PUT that commits. Source: registries.md 13 (Artifactory 6). */
const WHOLE_REFUSALS = [405, 501]
/** What a body of unknown length is held to have been too large with, where hardly anything of it went out. */
const STREAMED_BYTES = 16 * 1024 * 1024

/** Sends the session's next bytes, in one request. */
export async function sendBytes(push: BlobPush, session: OpenSession): Promise<void> {
  const { context, body } = push
  const { uploads } = context.learned
  const step = await planned(push, session)
  if (!step) return
  // Bytes that an earlier process sent can't be hashed here without reading the source all over again.
  if (session.offset > body.sent) body.trust(session.offset)
  // The registry looks at the token when a request begins, and a body can't be taken back.
  await context.transport.refreshAuth(pushScope(context), push.call.signal)
  if (!push.flowing) tellStart(push, session.offset)
  const request = requestOf(push, session, step)
  const probing = isProbing(push, session, step)
  const telling = [...(probing ? PART_REFUSALS : []), ...(mayStream(push, step) ? WHOLE_REFUSALS : [])]
  push.refused = false
  let response
  try {
    response = await context.transport.send(request, { allow: [413, ...telling] })
  } catch (thrown) {
    throw await unanswered(push, session, { step, error: toAppError(thrown) })
  }
  if (isRedirect(response.status)) return moved(push, session, { request, response })
  if (response.status >= 400) return refused(push, session, { step, request, response })
  await response.discard()
  body.taken()
  const age = ageOf(push, session)
  if (age) learnRequest(uploads, age)
  learnPart(push, session, step)
  return taken(push, session, step, response)
}

/** A request that was cut, or refused with a status that is not handed back; returns the error to throw. */
async function unanswered(
  push: BlobPush,
  session: OpenSession,
  { step, error }: { step: UploadStep; error: AppError },
): Promise<AppError> {
  const { profile, learned } = push.context
  const age = ageOf(push, session)
  if (age && brokeOff(error, age.ms)) {
    learnCut(learned.uploads, age)
    push.cutParts += 1
    if (step.send === 'whole' && profile.first === 'put') doubtGuess(push)
  }
  const completes = step.send === 'part' && step.commits
  return (completes ? await completedOtherwise(push, error) : undefined) ?? (await failed(push, error))
}

/** Whether a refusal of the bytes says something of the way in which they are sent. */
function isProbing(push: BlobPush, { offset }: OpenSession, { send }: UploadStep): boolean {
  if (send !== 'stream' && isRiskyGuess(push)) return true
  return send === 'part' && offset > 0 && push.context.learned.uploads.parts !== 'taken'
}

/**
 * The session's next request. Undefined where the registry takes parts of one size alone, and those of this session were
 * or would be of another than the first: then a new one has to be opened.
 */
async function planned(push: BlobPush, session: OpenSession): Promise<UploadStep | undefined> {
  const { context, descriptor, cutParts } = push
  const { profile, learned } = context
  const at = { size: descriptor.size, offset: session.offset, grid: push.grid }
  const shrinks = mustShrink({ ...at, cuts: cutParts }, profile, learned.uploads)
  if (learned.uploads.parts === 'equal' && session.offset > 0 && (shrinks || at.grid?.from !== 0)) {
    await advance(push, { type: 'gone', reason: 'it takes parts of one size alone, and they have to be of another' })
    return undefined
  }
  const step = nextStep(shrinks ? { ...at, grid: undefined } : at, profile, learned.uploads)
  await cutInto(push, session, step.send === 'part' ? step.grid : undefined)
  return step
}

function learnPart(push: BlobPush, { offset }: OpenSession, step: UploadStep): void {
  const { uploads } = push.context.learned
  if (step.send !== 'part') return
  if (step.end - offset === step.grid?.bytes) push.cutParts = 0
  if (offset > 0 && uploads.parts !== 'equal') uploads.parts = 'taken'
}

/**
 * What went out, and for how long: the head goes out with the first bytes, and a source may take its time to get at
 * those. Undefined where none did.
 */
function ageOf({ context, body }: BlobPush, { offset }: OpenSession): { bytes: number; ms: number } | undefined {
  if (body.begunAt === undefined) return undefined
  return { bytes: body.sent - offset, ms: context.clock.now() - body.begunAt }
}

async function taken(
  push: BlobPush,
  session: OpenSession,
  step: UploadStep,
  response: RegistryResponse,
): Promise<void> {
  const { size } = push.descriptor
  if (step.send === 'whole' || (step.send === 'part' && step.commits)) {
    if (response.status === 201) return advance(push, { type: 'committed' })
    return storedOrLost(push, `it answered ${response.status} to the last bytes`)
  }
  const location = newestLocation(push.context, response, session.location)
  const offset = step.send === 'part' ? step.end : size
  await advance(push, { type: 'accepted', location, offset })
  await checkShortfall(push, { location, offset }, bytesFromRange(response.header('range')))
  if (offset === size) await advance(push, { type: 'complete' })
}

/** A status that is handed back for a request with a body. */
async function refused(
  push: BlobPush,
  session: OpenSession,
  sent: { step: UploadStep; request: RegistryRequest; response: RegistryResponse },
): Promise<void> {
  const { context, descriptor, body } = push
  const { step, request, response } = sent
  const { status } = response
  const { uploads } = context.learned
  const error = toAppError(await context.transport.error(request, response))
  push.refused = true
  const tooLarge = isTooLarge(error)
  judgeProfile(push, step, tooLarge)
  if (tooLarge) {
    const bytes = request.contentLength ?? Math.max(body.sent - session.offset, STREAMED_BYTES)
    if (!context.profile.parts || !learnTooLarge(uploads, bytes)) throw await failed(push, error)
    push.flowing = false
    push.brokenBy = error
    // The session may be none the worse for it, and the next body is half as large.
    return advance(push, { type: 'cut', sent: Math.max(body.sent, session.offset + 1) })
  }
  if (mayStream(push, step) && refusesWhole(error)) uploads.whole = 'refused'
  if (status === 416) return outOfRange(push, session.offset, { inPart: step.send === 'part', answer: error })
  // A 404 is the session's end, which says little of a registry that is known to take parts.
  const telling = uploads.parts === undefined || (uploads.parts === 'equal' && status !== 404)
  if (step.send === 'part' && telling && session.offset > 0) uploads.parts = 'refused'
  return storedOrLost(push, `it answered ${saidBy(error)} to the bytes from ${session.offset} of ${descriptor.size} on`)
}

function judgeProfile(push: BlobPush, { send }: UploadStep, tooLarge: boolean): void {
  const { first, parts } = push.context.profile
  if (tooLarge && !parts) dropProfile(push)
  if (!tooLarge && (send === 'part' || first === 'put')) doubtGuess(push)
}

/** Whether the blob can go as docker sends it in place of that PUT. */
function mayStream({ context }: BlobPush, step: UploadStep): boolean {
  return step.send === 'whole' && context.profile.first === 'stream'
}

/** A session that is gone has other words for it. */
function refusesWhole({ upstream }: AppError): boolean {
  const status = upstream?.status ?? 0
  return WHOLE_REFUSALS.includes(status) || (status === 404 && upstream?.ociCode === 'BLOB_UNKNOWN')
}

/** GHCR says so with a 416, which elsewhere is about the offset. */
function isTooLarge({ upstream }: AppError): boolean {
  return upstream?.status === 413 || (upstream?.status === 416 && /too large|exceed/i.test(upstream.message ?? ''))
}

/**
 * Whether the far end broke it off, not our own patience: how long a silence is waited for says nothing about what lets a
 * request live. At its deadline zot answers 500 to what is still on its way, or nothing.
 */
function brokeOff(error: AppError, ms: number): boolean {
  if (error.code === 'REGISTRY_SERVER_FAILED' && ms >= SHORTEST_DEADLINE_MS) return true
  return error.code === 'REGISTRY_CONNECTION_LOST' || isGatewayTimeout(error)
}

function requestOf(push: BlobPush, session: OpenSession, step: UploadStep): RegistryRequest {
  const { context, descriptor, body } = push
  const { size, digest } = descriptor
  const end = step.send === 'part' ? step.end : size
  const commit = commitRequest(context, { location: session.location, digest }, push.call)
  const content: Pick<RegistryRequest, 'body' | 'contentLength'> =
    size === 0
      ? {}
      : {
          // The last chunk is handed over only when the digest was found right, so a PUT can't complete wrong.
          body: body.part(session.offset, end),
          ...(step.send === 'stream' ? {} : { contentLength: end - session.offset }),
        }
  // So that a registry that checks it can refuse.
  const range = step.send === 'part' ? { 'content-range': `${session.offset}-${end - 1}` } : {}
  const headers = { ...OCTET_STREAM_HEADERS, ...range }
  if (step.send === 'whole' || (step.send === 'part' && step.commits)) {
    return { ...commit, ...content, headers, op: 'push blob' }
  }
  return {
    method: 'PATCH',
    target: session.location,
    headers,
    ...content,
    scopes: pushScope(context),
    lane: 'bulk',
    op: 'push blob',
    ...push.call,
  }
}

/** A Range may be stuck (ECR) or of the registry's own making (Artifactory): it counts only when a status request agrees. */
async function checkShortfall(
  push: BlobPush,
  acknowledged: { location: URL; offset: number },
  told: number | undefined,
): Promise<void> {
  const { offset, location } = acknowledged
  if (told === undefined || told >= offset || !push.context.profile.tellsStatus) return
  const status = await sessionStatus(push.context, location, push.call)
  if (!status.alive || status.offset === undefined || status.offset >= offset) return
  push.flowing = false
  await advance(push, { type: 'stands', location: status.location, offset: status.offset })
  throw uploadLost(push.context, push.descriptor.digest, `it kept only ${status.offset} of ${offset} bytes`)
}
