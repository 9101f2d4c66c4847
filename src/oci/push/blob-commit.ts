import { AppError, toAppError } from '../../lib/errors.ts'
import { saidBy } from '../errors/errors.ts'
import { statBlob } from '../pull/blobs.ts'
import { completedOtherwise, doubtGuess } from './other-ways.ts'
import { advance, type BlobPush, giveUp, storedOrLost, tellStart } from './push-state.ts'
import { pushScope } from '../request/repository-context.ts'
import { commitRequest, sessionStatus } from './sessions/upload-requests.ts'
import type { UploadSession } from './sessions/upload-session.ts'

type Committing = Extract<UploadSession, { at: 'committing' }>

const FIRST_LOOK_MS = 1000
const LONGEST_LOOK_MS = 15_000
/** Source: registries.md 20.3 (GHCR). */
const LATE_COMMIT_MS = 20_000
/** A proxy gave up waiting while the registry behind it may still be at it; 500 and 503 are the registry's own word. */
const GATEWAY_STATUSES = [502, 504, 520, 521, 522, 523, 524]

/** The empty PUT that makes the blob visible. A lost answer is found out about before anything is sent again. */
export async function commitBlob(push: BlobPush, session: Committing): Promise<void> {
  if (session.inDoubt) return findOut(push, session)
  const { context, descriptor } = push
  push.emit({ type: 'verifying' })
  // The token that let a long body in may have run out while it was sent.
  await context.transport.refreshAuth(pushScope(context), push.call.signal)
  const request = commitRequest(context, { location: session.location, digest: descriptor.digest }, push.call)
  let response
  try {
    response = await context.transport.send(request)
  } catch (thrown) {
    const error = toAppError(thrown)
    throw (await completedOtherwise(push, error)) ?? (await failed(push, error))
  }
  if (response.status < 400) await response.discard()
  if (response.status === 201) return advance(push, { type: 'committed' })
  const said =
    response.status < 400 ? response.status : saidBy(toAppError(await context.transport.error(request, response)))
  return storedOrLost(push, `the commit was answered with ${said}`)
}

/** What a failed request means for the session; returns the error to throw. */
export async function failed(push: BlobPush, error: AppError): Promise<AppError> {
  push.flowing = false
  push.brokenBy = error
  if (isDigestRefusal(error)) {
    doubtGuess(push)
    if (push.session.at === 'committing') await giveUp(push, push.session.location)
    push.brokenBy = undefined
    await advance(push, { type: 'gone', reason: `the registry found the digest wrong (${saidBy(error)})` })
    return digestRefusal(push, error)
  }
  if (error.retry === 'permanent') return error
  if (error.code === 'REGISTRY_UNAUTHORIZED') {
    const offset = push.session.at === 'open' ? push.session.offset : push.descriptor.size
    if (push.unauthorizedAt === offset) return tokenRefusal(push, error, offset)
    push.unauthorizedAt = offset
  } else push.unauthorizedAt = undefined
  if (push.session.at === 'committing') push.commitFailure = error
  await advance(push, { type: 'cut', sent: push.body.sent })
  return error
}

/** A commit often succeeds after a proxy gave up on it (docker/build-push-action#251), so first look for the blob. */
async function findOut(push: BlobPush, session: Committing): Promise<void> {
  const { context, commitFailure, call, descriptor } = push
  const { commitWaitMs } = context
  const patience = commitFailure && gaveUpWaiting(commitFailure) ? commitWaitMs : 0
  if (await appears(push, patience)) return advance(push, { type: 'committed' })
  const status = await sessionStatus(context, session.location, call)
  if (status.alive) {
    await advance(push, { ...status, type: 'stands' })
    // An earlier process has brought all of it: nothing is sent, and still it goes on from there.
    if (push.session.at === 'committing' && !push.begun) tellStart(push, descriptor.size)
    return
  }
  // A session that is gone after its commit broke off has ended with it: what GHCR let in so shows some seconds later.
  const isLetIn = !status.silent && commitFailure?.code === 'REGISTRY_CONNECTION_LOST'
  if (isLetIn && (await appears(push, Math.min(commitWaitMs, LATE_COMMIT_MS)))) {
    return advance(push, { type: 'committed' })
  }
  return advance(push, { type: 'gone', reason: status.reason })
}

/** Looks for the blob, for so long. */
async function appears(push: BlobPush, forMs: number): Promise<boolean> {
  const { context, commitFailure, call, descriptor } = push
  const { clock } = context
  const until = clock.now() + forMs
  for (let wait = FIRST_LOOK_MS, attempt = 1; ; wait = Math.min(2 * wait, LONGEST_LOOK_MS), attempt += 1) {
    if (await statBlob(context, descriptor.digest, call)) return true
    const pause = Math.min(wait, until - clock.now())
    if (pause <= 0 || !commitFailure) return false
    push.emit({ type: 'retrying', error: commitFailure, attempt, retryAt: clock.now() + pause })
    await clock.sleep(pause, call.signal)
  }
}

/** Nobody answered in time, be it the registry or a proxy before it. */
function gaveUpWaiting(error: AppError): boolean {
  return error.code === 'REGISTRY_TIMEOUT' || isGatewayTimeout(error)
}

/** A proxy did not wait any longer. */
export function isGatewayTimeout({ upstream }: AppError): boolean {
  return GATEWAY_STATUSES.includes(upstream?.status ?? 0)
}

function isDigestRefusal(error: AppError): boolean {
  const code = error.upstream?.ociCode
  return error.upstream?.status === 400 && (code === 'DIGEST_INVALID' || code === 'SIZE_INVALID')
}

/** What lets the question through where an upload stands, and not its bytes, will not be cured by one more token. */
function tokenRefusal(push: BlobPush, error: AppError, offset: number): AppError {
  const { registry } = push.context.transport
  return new AppError(
    'REGISTRY_UNAUTHORIZED',
    `${registry} refused new tokens for the bytes from ${offset} on, twice`,
    {
      hint: 'A proxy before the registry may want something else than the registry: check what it asks for.',
      ...(error.op === undefined ? {} : { op: error.op }),
      ...(error.upstream ? { upstream: error.upstream } : {}),
      cause: error,
    },
  )
}

/** A registry that got other bytes than were sent gets them once more from the start; twice is for good. */
function digestRefusal(push: BlobPush, error: AppError): AppError {
  const again = !push.digestRefused
  push.digestRefused = true
  return new AppError(error.code, error.message, {
    retry: again ? 'transient' : 'permanent',
    hint: 'The bytes were checked before they were sent: something between here and the registry changes them.',
    ...(error.op === undefined ? {} : { op: error.op }),
    ...(error.upstream ? { upstream: error.upstream } : {}),
    cause: error,
  })
}
