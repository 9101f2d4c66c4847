import { createHash } from 'node:crypto'
import type { ByteStream } from '../content/endpoints.ts'
import type { OpenedFile, StreamRange } from '../content/opened.ts'
import { firstBytes, Pieces, skipBytes } from '../content/streams.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError, toAppError, withContext } from '../lib/errors.ts'
import { type RetryPolicy, retryDelayMs, withRetry } from '../lib/retry.ts'
import { changed, get, type Got, nameOf, type Remote } from './remote-get.ts'
import { isSame, type RemoteState } from './remote-state.ts'

export interface RemoteFileOptions extends Remote {
  /** Of the whole, hexadecimal. */
  sha256: string
  signal: AbortSignal
  /** Told of each wait before the server is asked again. */
  onRetry?: (error: AppError, attempt: number, retryAt: number) => void
  /** Between asks that brought nothing new. Default: eight, within about a minute and a half. */
  retry?: RetryPolicy
  clock?: Clock
}

interface Opened extends RemoteFileOptions {
  readonly clock: Clock
  readonly retry: RetryPolicy
  readonly state: RemoteState
  /** Its first bytes: what tells the kind of a package is read several times. */
  readonly head: Buffer
}

const HEAD_BYTES = 1024 * 1024
/** A wrong address is told within seconds. */
const FIRST_CONTACT: RetryPolicy = { attempts: 4, baseMs: 500, maxMs: 2000, maxRetryAfterMs: 60_000 }
const RETRY: RetryPolicy = { attempts: 8, baseMs: 500, maxMs: 30_000, maxRetryAfterMs: 600_000 }
/** Asks are free as long as each brought this much. */
const PROGRESS_BYTES = 1024 * 1024

/**
 * A file of a web server. Nothing is written to a disk: each stream is a download of its own, which goes on by Range where it broke
 * off, or from the start where the server gives no ranges. A stream of the whole throws PACKAGE_CHECKSUM_MISMATCH in place of its
 * end where its SHA-256 is another, so who reads to the end of one has read the right bytes. One that changes meanwhile is
 * PACKAGE_CHANGED, by ETag, Last-Modified or size. Throws what `get` throws.
 */
export async function openRemoteFile(options: RemoteFileOptions): Promise<OpenedFile> {
  const { clock = systemClock, retry = RETRY, signal, onRetry } = options
  const policy = options.retry ?? FIRST_CONTACT
  const first = await withRetry(() => readHead(options), { policy, signal, clock, ...(onRetry ? { onRetry } : {}) })
  const opened: Opened = { ...options, ...first, clock, retry }
  const { size } = first.state
  return {
    name: nameOf(options),
    size,
    // What is learnt of it is learnt of bytes that have this hash.
    identity: `sha256:${options.sha256}:${size}`,
    async read(target, offset) {
      let filled = 0
      for await (const chunk of download(opened, { start: offset, end: offset + target.length, signal })) {
        filled += chunk.copy(target, filled)
      }
      return target
    },
    stream(range) {
      const { start = 0, end = size } = range
      const bytes = download(opened, { ...range, start, end })
      return start === 0 && end === size ? hashed(opened, bytes, range.signal) : bytes
    },
    // The hash of the whole has told.
    checkUnchanged: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function readHead(options: RemoteFileOptions): Promise<Pick<Opened, 'state' | 'head'>> {
  const got = await get(options, { offset: 0, end: HEAD_BYTES, signal: options.signal })
  const { response, state } = got
  const wanted = Math.min(HEAD_BYTES, state.size)
  const pieces = new Pieces()
  try {
    for await (const chunk of response.body) {
      pieces.keep(chunk)
      if (pieces.bytes >= wanted) break
    }
  } catch (error) {
    throw withContext(response.bodyError(error), { side: 'source' })
  }
  response.abandon()
  const read = pieces.bytes
  if (read < wanted) throw endedEarly(options, read, state.size)
  return { state, head: Buffer.concat(pieces.take()).subarray(0, wanted) }
}

async function* download(
  opened: Opened,
  { start, end, signal, onRead }: StreamRange & { start: number; end: number },
): ByteStream {
  const { head, clock, retry } = opened
  let position = start
  if (position < head.length && position < end) {
    const bytes = head.subarray(position, end)
    position += bytes.length
    onRead?.(bytes.length)
    yield bytes
  }
  for (let failures = 0; position < end; ) {
    const before = position
    let error: AppError
    let got: Got | undefined
    try {
      got = await get(opened, {
        offset: position,
        ...(end < opened.state.size ? { end } : {}),
        known: opened.state,
        signal,
      })
      for await (const chunk of firstBytes(skipBytes(got.response.body, got.skip), end - position)) {
        position += chunk.length
        onRead?.(chunk.length)
        yield chunk
      }
      if (position >= end) return
      error = endedEarly(opened, position, opened.state.size)
    } catch (thrown) {
      error = withContext(got ? got.response.bodyError(thrown) : toAppError(thrown), { side: 'source' })
    }
    failures = position - before >= PROGRESS_BYTES ? 1 : failures + 1
    const delay = retryDelayMs(error, failures, retry, Math.random())
    if (delay === undefined) throw error
    opened.onRetry?.(error, failures, clock.now() + delay)
    await clock.sleep(delay, signal)
  }
}

async function* hashed(opened: Opened, stream: ByteStream, signal: AbortSignal): ByteStream {
  const hash = createHash('sha256')
  for await (const chunk of stream) {
    hash.update(chunk)
    yield chunk
  }
  const sha256 = hash.digest('hex')
  if (sha256 === opened.sha256) return
  if (!(await isStillThere(opened, signal))) throw changed(opened)
  throw new AppError(
    'PACKAGE_CHECKSUM_MISMATCH',
    `${nameOf(opened)} has the SHA-256 ${sha256}; the job says ${opened.sha256}`,
    {
      side: 'source',
      hint: 'Compare "options.sha256" with what whoever made the package says. Nothing was tagged.',
      details: { path: nameOf(opened), expected: opened.sha256, actual: sha256 },
    },
  )
}

/** Whether it is the file that was begun with, as far as the server tells; one that does not answer has not changed. */
async function isStillThere(opened: Opened, signal: AbortSignal): Promise<boolean> {
  try {
    const { response, state } = await get(opened, { offset: 0, end: 1, signal })
    response.abandon()
    return isSame(opened.state, state)
  } catch {
    signal.throwIfAborted()
    return true
  }
}

function endedEarly(remote: Remote, position: number, size: number): AppError {
  return new AppError(
    'REGISTRY_CONNECTION_LOST',
    `${remote.url.host} ended ${nameOf(remote)} after ${position} of ${size} bytes`,
    { op: 'fetch package', side: 'source', details: { path: nameOf(remote), offset: position } },
  )
}
