import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { BlobOpener, PushEvent, PushOptions } from '../../content/endpoints.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { isAppError } from '../../lib/errors.ts'
import { withRetry } from '../../lib/retry.ts'
import { statBlob } from '../pull/blobs.ts'
import { commitBlob } from './blob-commit.ts'
import { sendBytes } from './blob-send.ts'
import { brokenBy } from '../errors/errors.ts'
import { learnKept } from '../facts/learned-facts.ts'
import { mountFromAny } from './mount.ts'
import { createPushBody } from './parts/push-body.ts'
import { advance, type BlobPush, giveUp, openedAt, tellStart } from './push-state.ts'
import { goAnotherWay, isRefusedThere } from './range-refusals.ts'
import { placeName, type RepositoryContext, sessionsFor, uploadKey } from '../request/repository-context.ts'
import { countSent, isThere, learnSelfMount } from './self-mount.ts'
import type { SessionPool } from './sessions/session-pool.ts'
import { postWhole } from './single-post.ts'
import { sessionStatus } from './sessions/upload-requests.ts'
import type { OpenSession } from './sessions/upload-session.ts'

/** Further tries are free as long as each moved this much. */
const PROGRESS_STEP = 1024 * 1024

/**
 * Pushes one blob: small ones in one request where the registry takes it, up to 8 MiB as POST and PUT, larger ones as
 * POST, one streamed PATCH and an empty PUT (what `docker push` sends, so every registry knows it), or in parts where
 * there is reason to (upload-plan.ts). After a cut it goes on where the registry says it stands. Source: OCI distribution-spec v1.1.1 "Pushing blobs".
 */
export async function pushBlob(
  context: RepositoryContext,
  pool: SessionPool,
  blob: { descriptor: Descriptor; open: BlobOpener },
  options: PushOptions,
): Promise<void> {
  const push = createPush(context, pool, blob, options)
  let furthest = 0
  try {
    await withRetry(() => runToEnd(push), {
      policy: (error) => (context.isSpent(error) ? { ...context.retry, attempts: 1 } : context.retry),
      signal: options.signal,
      clock: context.clock,
      budget: context.budget,
      progress: () => {
        if (push.session.at === 'open') furthest = Math.max(furthest, push.session.offset)
        return Math.floor(furthest / PROGRESS_STEP) + push.otherWays
      },
      onRetry: (error, attempt, retryAt) => push.emit({ type: 'retrying', error, attempt, retryAt }),
    })
  } catch (error) {
    await abandon(push, error)
    throw error
  } finally {
    await push.body.close()
  }
}

function createPush(
  context: RepositoryContext,
  pool: SessionPool,
  blob: { descriptor: Descriptor; open: BlobOpener },
  options: PushOptions,
): BlobPush {
  let furthest = 0
  const emit = (event: PushEvent): void => {
    if (event.type === 'bytes' && event.offset > furthest) {
      furthest = event.offset
      context.budget?.progressed()
    }
    options.onEvent?.(event)
  }
  return {
    context,
    pool,
    emit,
    descriptor: blob.descriptor,
    name: options.verify?.name ?? titleOrDigest(blob.descriptor),
    mountFrom: options.mountFrom ?? [],
    mayExist: options.mayExist ?? false,
    body: createPushBody(blob.descriptor, blob.open, {
      signal: options.signal,
      verify: options.verify,
      emit,
      clock: context.clock,
    }),
    call: {
      signal: options.signal,
      onRetry: (error, attempt, retryAt) => emit({ type: 'retrying', error, attempt, retryAt }),
    },
    key: uploadKey(context, blob.descriptor.digest),
    sessions: sessionsFor(context, blob.descriptor.size),
    session: { at: 'idle' },
    note: undefined,
    begun: false,
    flowing: false,
    acknowledged: 0,
    ownCount: false,
    startedAt: 0,
    brokenBy: undefined,
    commitFailure: undefined,
    unauthorizedAt: undefined,
    digestRefused: false,
    moves: 0,
    grid: undefined,
    cutParts: 0,
    refused: false,
    rangeRefusal: undefined,
    otherWays: 0,
  }
}

/** Steps through the session's states until the registry has the blob or a step fails. */
async function runToEnd(push: BlobPush): Promise<void> {
  while (push.session.at !== 'done') {
    throwIfAborted(push.call.signal)
    try {
      await step(push)
    } finally {
      push.context.shareLearned()
    }
  }
  if (push.begun) countSent(push)
  await push.sessions?.clear(push.key)
}

async function step(push: BlobPush): Promise<void> {
  const { session } = push
  switch (session.at) {
    case 'idle':
      return begin(push)
    case 'open':
      if (session.sent > session.offset) return askWhereItStands(push, session)
      return sendBytes(push, session)
    case 'committing':
      return commitBlob(push, session)
    case 'lost':
      return startAgain(push, session.reason)
    case 'done':
      return undefined
  }
}

async function begin(push: BlobPush): Promise<void> {
  const first = push.startedAt === 0
  const saved = first ? await push.sessions?.load(push.key) : undefined
  push.startedAt = push.context.clock.now()
  if (saved && saved.size === push.descriptor.size && URL.canParse(saved.location)) {
    push.startedAt = saved.startedAt
    push.grid = saved.parts
    return advance(push, { type: 'restored', location: new URL(saved.location), offset: saved.offset })
  }
  if (first && push.mayExist && (await found(push))) return undefined
  if (first && (await mounted(push))) return undefined
  if (await postWhole(push)) return undefined
  await learnSelfMount(push)
  return openedAt(push, await push.pool.take(push.call))
}

async function found(push: BlobPush): Promise<boolean> {
  if (!(await isThere(push))) return false
  push.emit({ type: 'exists' })
  await advance(push, { type: 'committed' })
  return true
}

async function mounted(push: BlobPush): Promise<boolean> {
  const { context, pool, descriptor, mountFrom, call } = push
  const candidate = await mountFromAny(context, pool, { descriptor, candidates: mountFrom }, call)
  if (!candidate) return false
  push.emit({ type: 'mounted', from: candidate.repository })
  await advance(push, { type: 'committed' })
  return true
}

async function askWhereItStands(push: BlobPush, session: OpenSession): Promise<void> {
  const { context, descriptor, begun, refused } = push
  const { uploads } = context.learned
  const status = await sessionStatus(context, session.location, push.call)
  push.ownCount = !status.alive && status.silent && session.offset > 0
  if (isRefusedThere(push, status)) return goAnotherWay(push)
  // What an earlier process had sent is not known, so nothing is learnt of that.
  const cut = begun && !refused
  if (cut && status.alive) learnKept(uploads, session.sent - session.offset, (status.offset ?? 0) - session.offset)
  if (cut && !status.alive && !push.ownCount) learnKept(uploads, session.sent - session.offset, 'no session')
  if (push.ownCount) return advance(push, { type: 'stands', location: undefined, offset: session.offset })
  await advance(push, status.alive ? { ...status, type: 'stands' } : { type: 'gone', reason: status.reason })
  // An earlier process has brought all of it: nothing is sent, and still it goes on from there.
  if (push.session.at === 'committing' && !begun) tellStart(push, descriptor.size)
}

/** The session may be gone because the blob was committed and the answer got lost. */
async function startAgain(push: BlobPush, lost: string): Promise<void> {
  if (await statBlob(push.context, push.descriptor.digest, push.call)) return advance(push, { type: 'committed' })
  const { digest } = push.descriptor
  const reason = push.brokenBy ? `${lost}, after ${brokenBy(push.brokenBy)}` : lost
  push.brokenBy = undefined
  push.context.logger.info({ digest, repository: placeName(push.context), reason }, 'upload starts again')
  push.emit({
    type: 'restarted',
    message: `${placeName(push.context)}: the upload of ${push.name} starts again: ${reason}`,
  })
  return advance(push, { type: 'restart' })
}

/**
 * Leaves no session behind, unless another run may go on with it: one that took over, or this job's next one after a
 * passing fault or a shutdown.
 */
async function abandon(push: BlobPush, error: unknown): Promise<void> {
  const { session } = push
  if (session.at !== 'open' && session.at !== 'committing') return
  const reason: unknown = push.call.signal.aborted ? push.call.signal.reason : error
  const code = isAppError(reason) ? reason.code : undefined
  if (code === 'JOB_FENCED') return
  const goesOn = isAppError(reason) && reason.retry !== 'permanent' && code !== 'JOB_CANCELED'
  if (goesOn && push.sessions) return
  await giveUp(push, session.location)
}
