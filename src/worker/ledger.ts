import type { Progress, Transfer } from '../jobs/model/definitions.ts'
import type { AppError } from '../lib/errors.ts'
import type { BlobEvent, EngineEvent } from '../transfer/events.ts'
import { AT_REST, estimateOf, type Rate, type Rates, secondsLeft, smooth } from './pace.ts'
import { soonest, type Wait, waitFor } from './waits.ts'

/**
 * Folds what the engine tells into a job's progress. Kept at every moment (api.md "Progress object"): bytesDone =
 * skipped + mounted + resumed + sent; bytesDone never runs backwards inside a job, over retries and takeovers too,
 * because each blob counts to its high-water mark; done <= total; what is sent again shows in wireBytes alone.
 */
export interface Ledger {
  apply(event: EngineEvent): void
  progress(now: number): Progress
  /** Rows that changed since the last call, in order of appearance. */
  takeChanged(): Transfer[]
  /** The run has ended: what was under way waits for the next one, or will not come. */
  rest(state: 'waiting' | 'canceled'): void
}

export interface LedgerOptions {
  /** What earlier runs left. */
  progress: Progress
  transfers: readonly Transfer[]
  /** Builds the problem document of a failed or waiting blob. */
  describe: (error: AppError) => Transfer['error']
  /** ms since the epoch. */
  now: number
}

interface Row {
  transfer: Transfer
  /** Final once, in this run or an earlier one: it counts as done even while it is sent again. */
  settled: boolean
  /** How it settled; a blob sent by an earlier run and found by this one was sent. */
  by: 'exists' | 'mounted' | 'sent' | undefined
  /** Whether this run has begun to move it: only then are the bytes at its start this run's own. */
  begun: boolean
}

const UNDER_WAY: ReadonlySet<Transfer['state']> = new Set(['active', 'retrying', 'verifying'])

export function createLedger(options: LedgerOptions): Ledger {
  const rows = new Map<string, Row>()
  const changed = new Set<Row>()
  const sums = { ...options.progress, layers: { ...options.progress.layers } }
  const wire: Rate = { at: options.now, bytes: sums.wireBytes, perSecond: 0 }
  const done: Rate = { at: options.now, bytes: sums.bytesDone, perSecond: 0 }
  const source: Rate = { at: options.now, bytes: sums.sourceBytesRead, perSecond: 0 }
  for (const transfer of options.transfers) rows.set(transfer.digest, restored(transfer))
  const touch = (row: Row, change: Partial<Transfer>): void => {
    // What was done stays done: a blob that is sent once more (the registry lost it) keeps its state, and the wire tells.
    const state = row.settled ? stateOf(row) : (change.state ?? row.transfer.state)
    row.transfer = { ...row.transfer, ...change, state }
    changed.add(row)
  }
  const reach = (
    row: Row,
    offset: number,
    sum: 'bytesSent' | 'bytesSkipped' | 'bytesMounted' | 'bytesResumed',
  ): void => {
    const end = Math.min(offset, row.transfer.size)
    const more = end - row.transfer.bytesDone
    if (more <= 0) return
    sums[sum] += more
    touch(row, { bytesDone: end })
  }
  const context: Fold = { rows, sums, touch, reach, describe: options.describe, estimate: undefined, waits: new Map() }
  let rates: Rates = { wire, done, source }
  return {
    apply: (event) => applyEvent(context, event),
    progress(now) {
      const counted = countRows(rows.values())
      const bytesDone = sums.bytesSkipped + sums.bytesMounted + sums.bytesResumed + sums.bytesSent
      smooth(wire, sums.wireBytes, now)
      smooth(done, bytesDone, now)
      smooth(source, sums.sourceBytesRead, now)
      sums.bytesTotalEstimate = estimateOf(sums, context.estimate, Math.max(counted.bytes, bytesDone))
      return {
        ...sums,
        bytesDone,
        layers: { total: sums.layers.total, ...counted.layers },
        bytesPerSecond: Math.round(rates.wire.perSecond),
        etaSeconds: secondsLeft({ ...sums, bytesDone }, rates),
        ...soonest(context.waits.values()),
        updatedAt: new Date(now).toISOString(),
      }
    },
    takeChanged() {
      const taken = [...changed].map((row) => row.transfer)
      changed.clear()
      return taken
    },
    rest(state) {
      rates = AT_REST
      const moving = [...rows.values()].filter((row) => !row.settled && UNDER_WAY.has(row.transfer.state))
      for (const row of moving) touch(row, { state, retryAt: null })
      context.waits.clear()
    },
  }
}

interface Fold {
  rows: Map<string, Row>
  sums: Progress
  touch: (row: Row, change: Partial<Transfer>) => void
  reach: (row: Row, offset: number, sum: 'bytesSent' | 'bytesSkipped' | 'bytesMounted' | 'bytesResumed') => void
  describe: (error: AppError) => Transfer['error']
  /** What the source was last said to hold. */
  estimate: number | undefined
  /** Requests and rows that wait for their next try. */
  waits: Map<object, Wait>
}

function applyEvent(fold: Fold, event: EngineEvent): void {
  switch (event.type) {
    case 'phase':
      fold.sums.phase = event.phase
      return
    case 'source':
      fold.sums.sourceBytes = event.bytesTotal
      fold.sums.sourceBytesRead = Math.max(fold.sums.sourceBytesRead, event.bytesRead)
      fold.estimate = event.contentEstimate ?? fold.estimate
      return
    case 'outline':
      fold.sums.layers.total ??= event.layers
      return
    case 'plan':
      fold.sums.bytesTotal = event.bytes
      fold.sums.layers.total = event.layers
      return
    case 'transfer':
      announce(fold, event)
      return
    case 'waiting':
      fold.waits.delete(event.request)
      if (event.wait) fold.waits.set(event.request, waitFor(event.wait.error, event.wait.attempt, event.wait.retryAt))
      return
    case 'package':
    case 'warning':
    case 'log':
      return
    default: {
      const row = fold.rows.get(event.digest)
      if (row) applyBlobEvent(fold, row, event)
    }
  }
}

function applyBlobEvent(fold: Fold, row: Row, event: BlobEvent): void {
  fold.waits.delete(row)
  switch (event.type) {
    case 'exists':
      settle(fold, row, 'exists')
      return
    case 'mounted':
      settle(fold, row, 'mounted')
      return
    case 'complete':
      settle(fold, row, 'sent')
      return
    case 'started':
      begin(fold, row, event.offset)
      return
    case 'bytes':
      fold.sums.wireBytes += event.wire
      fold.reach(row, event.offset, 'bytesSent')
      return
    case 'followed':
      follow(fold, row, event.offset)
      return
    case 'restarted':
      // The next 'started' has the offset; what counted as done stays so, and the wire tells.
      return
    case 'verifying':
      fold.touch(row, { state: 'verifying' })
      return
    case 'retrying':
      fold.waits.set(row, waitFor(event.error, event.attempt + 1, event.retryAt))
      fold.touch(row, {
        state: 'retrying',
        retryAt: new Date(event.retryAt).toISOString(),
        error: fold.describe(event.error),
      })
      return
    case 'failed':
      fold.touch(row, { state: 'failed', retryAt: null, error: fold.describe(event.error) })
      return
    default:
      event satisfies never
  }
}

function announce(fold: Fold, event: Extract<EngineEvent, { type: 'transfer' }>): void {
  const { digest, title, mediaType, size } = event
  const known = fold.rows.get(digest)
  if (known) {
    if (!known.settled) fold.touch(known, { state: 'waiting', retryAt: null, error: null })
    return
  }
  const transfer: Transfer = {
    digest,
    title,
    mediaType,
    size,
    state: 'waiting',
    bytesDone: 0,
    attempt: 0,
    retryAt: null,
    error: null,
  }
  const row: Row = { transfer, settled: false, by: undefined, begun: false }
  fold.rows.set(digest, row)
  fold.touch(row, {})
  // Signatures are declared nowhere.
  const { layers } = fold.sums
  if (layers.total !== null) layers.total = Math.max(layers.total, fold.rows.size)
}

/** What another job sends is skipped here, also where this one goes on in its place and sends some of it again. */
function follow(fold: Fold, row: Row, offset: number): void {
  const { bytesDone, bytesSkipped = 0 } = row.transfer
  fold.reach(row, offset, 'bytesSkipped')
  const skipped = bytesSkipped + (row.transfer.bytesDone - bytesDone)
  fold.touch(row, { state: 'active', retryAt: null, error: null, bytesSkipped: skipped })
}

/** Bytes that the far end kept from an earlier run were counted as sent; now they are told as what they are. */
function begin(fold: Fold, row: Row, offset: number): void {
  // A settled blob that the registry lost is counted already, as what it was.
  if (!row.begun && !row.settled && offset > 0) {
    const { bytesDone, bytesResumed = 0, bytesSkipped = 0 } = row.transfer
    const kept = Math.max(0, Math.min(offset, bytesDone) - bytesSkipped - bytesResumed)
    fold.sums.bytesSent -= kept
    fold.sums.bytesResumed += kept
    fold.reach(row, offset, 'bytesResumed')
    fold.touch(row, { bytesResumed: bytesResumed + kept + (row.transfer.bytesDone - bytesDone) })
  }
  row.begun = true
  fold.reach(row, offset, 'bytesSent')
  fold.touch(row, { state: 'active', attempt: row.transfer.attempt + 1, retryAt: null, error: null })
}

const SUM_OF = { exists: 'bytesSkipped', mounted: 'bytesMounted', sent: 'bytesSent' } as const
const STATE_OF = { exists: 'exists', mounted: 'mounted', sent: 'complete' } as const

function settle(fold: Fold, row: Row, found: 'exists' | 'mounted' | 'sent'): void {
  // All of it went out before (in this run or an earlier one) and only the answer got lost: we sent it.
  const { bytesDone, size, attempt, bytesSkipped = 0 } = row.transfer
  const ours = bytesDone === size && attempt > 0 && bytesSkipped === 0
  const by = row.by ?? (ours ? 'sent' : found)
  fold.reach(row, row.transfer.size, SUM_OF[by])
  row.by = by
  row.settled = true
  fold.touch(row, { retryAt: null, error: null })
}

function stateOf(row: Row): Transfer['state'] {
  return STATE_OF[row.by ?? 'sent']
}

function restored(transfer: Transfer): Row {
  const by = transfer.state === 'exists' || transfer.state === 'mounted' ? transfer.state : 'sent'
  const settled = transfer.state === 'complete' || by !== 'sent'
  return { transfer, settled, by: settled ? by : undefined, begun: false }
}

interface Counted {
  layers: Omit<Progress['layers'], 'total'>
  /** Of all rows. */
  bytes: number
}

function countRows(rows: Iterable<Row>): Counted {
  const layers = { done: 0, skipped: 0, mounted: 0, failed: 0 }
  let bytes = 0
  for (const { transfer, settled, by } of rows) {
    bytes += transfer.size
    if (settled) layers.done += 1
    if (by === 'exists') layers.skipped += 1
    if (by === 'mounted') layers.mounted += 1
    if (transfer.state === 'failed') layers.failed += 1
  }
  return { layers, bytes }
}
