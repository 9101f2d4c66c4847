import { blobName, type Descriptor } from '../../content/descriptor.ts'
import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import { RangeIgnored } from '../../content/ranges.ts'
import { skipBytes } from '../../content/streams.ts'
import { AppError, toAppError } from '../../lib/errors.ts'
import { retryDelayMs, withRetry } from '../../lib/retry.ts'
import { isCoded, lengthOf, refuseWebPage } from './blobs.ts'
import { blobPath, placeName, pullScope, type RepositoryContext } from '../request/repository-context.ts'
import { learnRange, type RangeAnswer } from '../facts/learned-facts.ts'
import type { RegistryRequest, RegistryResponse } from '../request/transport.ts'

/** Reconnects are free as long as each moved this much. */
const PROGRESS_STEP = 1024 * 1024

interface Fetch {
  readonly context: RepositoryContext
  readonly descriptor: Descriptor
  readonly options: OpenOptions
  /** Where to stop. */
  readonly end: number
  /** Whether the registry has refused the range: it is asked several times. */
  refused: boolean
}

interface Opened {
  readonly response: RegistryResponse
  /** Bytes that come before the wanted ones. */
  readonly skip: number
}

/**
 * Opens a blob from an offset, to its end or to an earlier one. A stream that breaks off goes on from where it stands, by
 * asking the registry again: an address in its storage that it once sent us to has run out by then. Any other answer to a
 * request with an end than those bytes is RangeIgnored: what is behind it shows when the rest is asked for without one.
 * Bytes are not verified here.
 * Source: OCI distribution-spec v1.1.1 "Pulling blobs" (Range).
 */
export async function openBlob(
  context: RepositoryContext,
  descriptor: Descriptor,
  options: OpenOptions,
): Promise<ByteStream> {
  const { offset = 0, end = descriptor.size } = options
  const fetch: Fetch = { context, descriptor, options, end, refused: false }
  // docker-registry 2.8 answers a range that begins at the end with a full Content-Length and no body, and hangs.
  if (offset >= end && offset > 0) return nothing()
  return read(fetch, offset, await openAt(fetch, offset))
}

async function* nothing(): ByteStream {}

async function* read(fetch: Fetch, offset: number, first: Opened): ByteStream {
  const { context, options, end } = fetch
  let opened = first
  let position = offset
  for (let failures = 0; ; ) {
    const before = position
    let error: AppError
    try {
      for await (const chunk of skipBytes(opened.response.body, opened.skip)) {
        position += chunk.length
        context.budget?.progressed()
        yield chunk
      }
      if (position >= end) return
      error = endedEarly(fetch, position)
    } catch (thrown) {
      error = toAppError(opened.response.bodyError(thrown))
    }
    failures = position - before >= PROGRESS_STEP ? 1 : failures + 1
    const delay = retryDelayMs(error, failures, context.retry, Math.random())
    if (delay === undefined || context.budget?.allows(delay) === false) throw error
    options.onRetry?.(error, failures, context.clock.now() + delay)
    await context.clock.sleep(delay, options.signal)
    opened = await openAt(fetch, position)
  }
}

function openAt(fetch: Fetch, offset: number): Promise<Opened> {
  const { context, options } = fetch
  return withRetry(() => request(fetch, offset), {
    policy: context.retry,
    signal: options.signal,
    clock: context.clock,
    budget: context.budget,
    ...(options.onRetry ? { onRetry: options.onRetry } : {}),
  })
}

async function request(fetch: Fetch, offset: number): Promise<Opened> {
  const { context, descriptor } = fetch
  const ranged = await getOrRefused(fetch, offset)
  if (ranged.response.status === 416) {
    await ranged.response.discard()
    tellStart(fetch, offset, 416)
    // The registry does not know the offset that its own size allows: the whole blob decides, once.
    return accept(fetch, await get(fetch, 0), offset)
  }
  if (ranged.response.status === 404) {
    const error = toAppError(await context.transport.error(ranged.request, ranged.response))
    throw new AppError('BLOB_NOT_FOUND', `${placeName(context)} does not have the blob ${descriptor.digest}`, {
      op: 'fetch blob',
      details: { digest: descriptor.digest },
      ...(error.upstream ? { upstream: error.upstream } : {}),
      cause: error,
    })
  }
  return accept(fetch, ranged, offset)
}

const TOO_MANY_REQUESTS = 429

/** Throws RangeIgnored where a request with an end got another answer than those bytes, one for good. */
async function getOrRefused(fetch: Fetch, offset: number): Promise<Got> {
  const { context, descriptor, end } = fetch
  const ignored = (status: number, cause?: unknown) =>
    new RangeIgnored(
      `${placeName(context)} answered ${status} to bytes ${offset} to ${end - 1} of ${blobName(descriptor)}`,
      cause,
    )
  try {
    const got = await get(fetch, offset)
    if (!isBounded(fetch)) return got
    const { status } = got.response
    const exact = isExact(fetch, got.response, offset)
    learn(fetch, exact ? 'given' : status < 300 ? 'ignored' : 'refused')
    if (exact) return got
    got.response.abandon()
    throw ignored(status)
  } catch (thrown) {
    const error = toAppError(thrown)
    const status = error.upstream?.status
    if (!isBounded(fetch) || status === undefined) throw thrown
    // A registry that is down for a while says nothing about ranges; one that is asked too much may mean them.
    if (error.retry === 'permanent' || status === TOO_MANY_REQUESTS) learn(fetch, 'refused')
    throw error.retry === 'permanent' ? ignored(status, error) : thrown
  }
}

/** So that a registry is not asked in vain with each large blob. */
function learn(fetch: Fetch, answer: RangeAnswer): void {
  const { context } = fetch
  if (answer === 'refused' && fetch.refused) return
  fetch.refused = answer === 'refused'
  if (learnRange(context.learned, answer)) context.shareLearned()
}

/** Whether it is a 206 with the bytes that were asked for. */
function isExact({ descriptor, end }: Fetch, response: RegistryResponse, offset: number): boolean {
  const { start, last, total } = rangeOf(response)
  return (
    response.status === 206 && start === offset && last === end - 1 && (total ?? descriptor.size) === descriptor.size
  )
}

/** What a Content-Range says. */
function rangeOf(response: RegistryResponse): { start?: number; last?: number; total?: number } {
  const [, start, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.header('content-range') ?? '') ?? []
  if (start === undefined) return {}
  return { start: Number(start), last: Number(last), ...(total === '*' ? {} : { total: Number(total) }) }
}

interface Got {
  readonly request: RegistryRequest
  readonly response: RegistryResponse
}

async function get(fetch: Fetch, offset: number): Promise<Got> {
  const { context, descriptor, options, end } = fetch
  const range = isBounded(fetch) ? `bytes=${offset}-${end - 1}` : `bytes=${offset}-`
  const request: RegistryRequest = {
    method: 'GET',
    target: blobPath(context, descriptor.digest),
    headers: { accept: '*/*', ...(offset > 0 || isBounded(fetch) ? { range } : {}) },
    scopes: pullScope(context),
    lane: 'bulk',
    expectedBytes: end - offset,
    op: 'fetch blob',
    signal: options.signal,
  }
  // It may be the range that is refused, so it is not waited for without end.
  const response = await context.transport.send(request, isBounded(fetch) ? { allow: [TOO_MANY_REQUESTS] } : {})
  if (response.status === TOO_MANY_REQUESTS) throw await context.transport.error(request, response)
  return { request, response }
}

/** Whether less than the blob's end is asked for. */
function isBounded({ end, descriptor }: Fetch): boolean {
  return end < descriptor.size
}

/** 206 must be exactly what was asked for; 200 is the whole blob, whose head is thrown away. */
async function accept(fetch: Fetch, got: Got, offset: number): Promise<Opened> {
  const { context, descriptor } = fetch
  const { request, response } = got
  await refuseWebPage(context, request, response)
  refuseCoding(fetch, response, response.status === 200 ? descriptor.size : fetch.end - offset)
  if (response.status === 200) {
    const length = lengthOf(response.header('content-length'))
    if (length !== null && length !== descriptor.size) throw wrongSize(fetch, response, length)
    if (offset > 0 && request.headers?.['range'] !== undefined) tellStart(fetch, offset, 200)
    return { response, skip: offset }
  }
  const { total } = rangeOf(response)
  if (total !== undefined && total !== descriptor.size) throw wrongSize(fetch, response, total)
  if (isExact(fetch, response, offset)) return { response, skip: 0 }
  const range =
    /^bytes [0-9*/-]{1,64}$/.exec(response.header('content-range') ?? '')?.[0] ?? 'no Content-Range of bytes'
  response.abandon()
  throw new AppError(
    'REGISTRY_PROTOCOL_VIOLATION',
    `${placeName(context)} answered ${response.status} with ${range} to a request for ${blobName(descriptor)} from byte ${offset} on`,
    { op: 'fetch blob', details: { digest: descriptor.digest, offset } },
  )
}

/** A wrong label on bytes that are as long as they should be hurts nobody; the digest decides. */
function refuseCoding(fetch: Fetch, response: RegistryResponse, expected: number): void {
  if (!isCoded(response) || lengthOf(response.header('content-length')) === expected) return
  const { context, descriptor } = fetch
  response.abandon()
  const coding = /^[\w-]{1,20}$/.exec(response.header('content-encoding') ?? '')?.[0] ?? 'another coding'
  throw new AppError(
    'REGISTRY_PROTOCOL_VIOLATION',
    `${placeName(context)} answered with Content-Encoding: ${coding} for ${blobName(descriptor)}, which was not asked for: those are not its bytes`,
    {
      op: 'fetch blob',
      hint: 'A proxy before the registry compresses: turn that off there for /v2/.',
      details: { digest: descriptor.digest },
    },
  )
}

/** What is there already comes once more. */
function tellStart({ context, descriptor: { digest } }: Fetch, offset: number, status: number): void {
  const reason = `it answered ${status} to a request for what is behind byte ${offset}`
  context.logger.info({ digest, repository: placeName(context), status, reason }, 'download starts again')
}

function wrongSize(fetch: Fetch, response: RegistryResponse, found: number): AppError {
  const { context, descriptor } = fetch
  response.abandon()
  return new AppError(
    'SIZE_MISMATCH',
    `${placeName(context)} holds ${blobName(descriptor)} with ${found} bytes, expected ${descriptor.size}`,
    {
      op: 'fetch blob',
      hint: "Its storage or the manifest that names it is damaged: compare both with the publisher's.",
      details: { digest: descriptor.digest, expected: descriptor.size, found },
    },
  )
}

/** A close in good order before the last byte: zot ends every answer after 60 s that way. */
function endedEarly(fetch: Fetch, position: number): AppError {
  const { context, descriptor } = fetch
  return new AppError(
    'REGISTRY_CONNECTION_LOST',
    `${placeName(context)} ended ${blobName(descriptor)} after ${position} of ${descriptor.size} bytes`,
    { op: 'fetch blob', details: { digest: descriptor.digest, offset: position } },
  )
}
