import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { systemClock } from '../../lib/clock.ts'
import type { Upload } from './contract.ts'
import { ApiProblem } from './problems.ts'
import { changed, type SentFile } from './sent-file.ts'
import type { Tus } from './tus.ts'

/** What becomes of an upload, as it happens. Numbers are bytes of the file. */
export type UploadStep =
  /** The daemon takes it so. */
  | { type: 'offered' }
  /** Its hash is taken, so that what the daemon has of it is known to be of this file. */
  | { type: 'hashing'; bytes: number }
  /** An upload of what the file was before is there; it goes. */
  | { type: 'changed' }
  /** It goes on where an earlier command left it. */
  | { type: 'resumed'; bytes: number }
  | { type: 'sending'; bytes: number }
  /** All was sent, and the daemon is to say whether it has it. */
  | { type: 'checking' }
  /** The connection broke, or the daemon is away; it is asked again. */
  | { type: 'waiting'; bytes: number; why: string }
  /** It answers, and has so much. */
  | { type: 'again'; bytes: number }

export interface ResumableOptions {
  readonly onStep: (step: UploadStep) => void
  readonly signal: AbortSignal
  /** An upload of the same bytes that is whole is taken for it. Default: no, as who sent that may delete it. */
  readonly mayBeThere?: boolean
  /** It is for an artifact, whatever its name ends in. Default: a package. */
  readonly asFile?: boolean
  /** How long it is asked again while nothing more arrives. Default: five minutes. */
  readonly patienceMs?: number
}

const PATIENCE_MS = 5 * 60_000
const AGAIN_AFTER_MS = 1000
/** For so long nothing of a body is taken: the connection is dead. The daemon gives up on senders sooner. */
const STALLED_MS = 120_000
/** What has more of it by then is being sent by another command. */
const LOOK_AGAIN_MS = 2000

/**
 * Sends a file so that it goes on at the byte where a connection, the daemon or an earlier command ended. Nothing is kept on this
 * machine: the daemon has with each upload the hash of its file, and which file of which machine it was. Throws ApiProblem, and
 * CommandFailure where the file changes meanwhile.
 */
export async function sendResumably(tus: Tus, file: SentFile, options: ResumableOptions): Promise<Upload> {
  const { onStep, signal } = options
  onStep({ type: 'offered' })
  const place = placeOf(file)
  const there = await tus.named(file.name)
  const before = there.filter(({ state }) => state === 'incomplete')
  const lookedAt = performance.now()
  const sha256 = await file.sha256((bytes) => onStep({ type: 'hashing', bytes }), signal)
  await file.checkUnchanged()
  const whole = there.find((upload) => upload.sha256 === sha256 && upload.size === file.size)
  if (options.mayBeThere && whole) return whole
  if (before.length > 0) await systemClock.sleep(Math.max(0, lookedAt + LOOK_AGAIN_MS - performance.now()), signal)
  const found = await findOwn(tus, before, { place, sha256, onStep })
  const metadata = { place, ...(options.asFile ? { as: 'file' } : {}) }
  const id = found?.id ?? (await tus.begin({ name: file.name, size: file.size, sha256, metadata }))
  if (found) onStep({ type: 'resumed', bytes: found.offset })
  await sendRest(tus, file, { ...options, id, offset: found?.offset ?? 0 })
  const upload = await tus.get(id)
  if (upload.sha256 === sha256) return upload
  await tus.remove(id)
  throw changed(file.path)
}

/** Of which file of which machine an upload is, for who sends it again. */
function placeOf({ path }: SentFile): string {
  const text = [hostname(), process.getuid?.() ?? '', path].join('\0')
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

/** Of those that nobody else is sending: the one to go on with. Those of what the file was before go. */
async function findOwn(
  tus: Tus,
  before: readonly Upload[],
  { place, sha256, onStep }: { place: string; sha256: string; onStep: ResumableOptions['onStep'] },
): Promise<{ id: string; offset: number } | undefined> {
  let best: { id: string; offset: number } | undefined
  for (const { id, offset } of before) {
    const now = await tus.get(id).catch(unlessGone)
    if (now?.state !== 'incomplete' || now.offset !== offset) continue
    const stands = await tus.stands(id).catch(unlessGone)
    if (stands?.metadata['place'] !== place) continue
    if (stands.metadata['sha256'] !== sha256) {
      onStep({ type: 'changed' })
      await tus.remove(id).catch(unlessGone)
    } else if (!best || stands.offset > best.offset) best = { id, offset: stands.offset }
  }
  return best
}

/** Others' that were seen and may not be changed are none of ours. */
function unlessGone(error: unknown): undefined {
  if (error instanceof ApiProblem && [403, 404, 423].includes(error.problem.status)) return undefined
  throw error
}

interface Rest extends ResumableOptions {
  readonly id: string
  readonly offset: number
}

async function sendRest(tus: Tus, file: SentFile, { id, patienceMs = PATIENCE_MS, ...rest }: Rest): Promise<void> {
  const { onStep, signal } = rest
  let offset: number | undefined = rest.offset
  let reached = offset
  let giveUpAt = performance.now() + patienceMs
  while (offset !== file.size) {
    try {
      if (offset === undefined) {
        offset = (await tus.stands(id)).offset
        onStep({ type: 'again', bytes: offset })
      }
      if (offset > reached) {
        reached = offset
        giveUpAt = performance.now() + patienceMs
      }
      onStep({ type: 'sending', bytes: offset })
      if (offset < file.size) offset = await append(tus, file, { id, offset, onStep })
    } catch (error) {
      signal.throwIfAborted()
      await refuseChanged(tus, file, id)
      if (!(error instanceof ApiProblem) || !passes(error)) throw told(error, file)
      if (performance.now() > giveUpAt) throw error
      offset = undefined
      onStep({ type: 'waiting', bytes: reached, why: error.problem.detail })
      await systemClock.sleep(AGAIN_AFTER_MS, signal)
    }
  }
  await refuseChanged(tus, file, id)
}

async function append(
  tus: Tus,
  file: SentFile,
  { id, offset, onStep }: Pick<Rest, 'id' | 'offset' | 'onStep'>,
): Promise<number> {
  const stalled = new AbortController()
  const timer = setTimeout(() => stalled.abort(new Error('nothing was taken for two minutes')), STALLED_MS)
  const onBytes = (bytes: number) => {
    timer.refresh()
    onStep({ type: 'sending', bytes })
    if (bytes < file.size) return
    clearTimeout(timer)
    onStep({ type: 'checking' })
  }
  try {
    const rest = { body: file.from(offset, onBytes), bytes: file.size - offset, signal: stalled.signal }
    return await tus.append(id, offset, rest)
  } finally {
    clearTimeout(timer)
  }
}

/** What was sent of it is of no use to anybody. */
async function refuseChanged(tus: Tus, file: SentFile, id: string): Promise<void> {
  try {
    await file.checkUnchanged()
  } catch (error) {
    await removeFor(tus, id)
    throw error
  }
}

const REMOVE_TRIES = 5

/** The connection has most likely just broken. What cannot be removed goes by itself after 24 h. */
async function removeFor(tus: Tus, id: string): Promise<void> {
  for (let tries = 1; tries <= REMOVE_TRIES; tries += 1) {
    try {
      return await tus.remove(id)
    } catch (error) {
      if (!(error instanceof ApiProblem) || !passes(error)) return
      await systemClock.sleep(AGAIN_AFTER_MS)
    }
  }
}

/** 408: too slow; 409: it stands elsewhere; 423: an earlier request still holds it; 429: later. */
const PASSING: ReadonlySet<number> = new Set([408, 409, 423, 429])

function passes({ problem: { retryable, status } }: ApiProblem): boolean {
  return retryable || PASSING.has(status)
}

function told(error: unknown, file: SentFile): unknown {
  return error instanceof ApiProblem && error.problem.code === 'BODY_DIGEST_MISMATCH' ? changed(file.path) : error
}
