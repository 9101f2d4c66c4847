import { setTimeout as delay } from 'node:timers/promises'
import { type AuditRecord, type AuditRecorder, isDone } from './audit.ts'

/** Where records go, in batches, later than they are made. What does not come to be written is counted. */
export interface AuditOutlet extends AuditRecorder {
  /** Records that were dropped, since there were too many to keep. */
  readonly lost: number
  readonly waiting: number
  /** Writes what waits, once. */
  close(): Promise<void>
}

export interface AuditOutletOptions {
  /** All of them, or throws. */
  write: (records: readonly AuditRecord[]) => Promise<void>
  /** Told when it begins to fail, and when it is well again (undefined). */
  onTrouble: (error: unknown) => void
  /** Records that may wait: of what was done, and of what was refused or failed, each. Default 1,000. */
  most?: number
  retryMs?: number
}

const MOST = 1000
const BATCH = 200
/** Records that come together go together. */
const GATHER_MS = 50
const RETRY_MS = 1000

/** What was refused or failed has places of its own, so that a flood of it drops nothing of what was done. */
export function createAuditOutlet(options: AuditOutletOptions): AuditOutlet {
  const { write, onTrouble, most = MOST, retryMs = RETRY_MS } = options
  const waiting: AuditRecord[] = []
  const counts = { done: 0, other: 0 }
  const kindOf = (record: AuditRecord) => (isDone(record) ? 'done' : 'other')
  const closing = new AbortController()
  let lost = 0
  let fails = false
  let running: Promise<void> | undefined

  const writeBatch = async (): Promise<void> => {
    const batch = waiting.slice(0, BATCH)
    try {
      await write(batch)
      for (const record of waiting.splice(0, batch.length)) counts[kindOf(record)] -= 1
      if (fails) onTrouble(undefined)
      fails = false
    } catch (error) {
      if (!fails) onTrouble(error)
      fails = true
    }
  }
  const run = async (): Promise<void> => {
    await pause(GATHER_MS, closing.signal)
    while (waiting.length > 0) {
      await writeBatch()
      if (!fails) continue
      if (closing.signal.aborted) return
      await pause(retryMs, closing.signal)
    }
  }
  const start = () => {
    running ??= run().finally(() => (running = undefined))
  }
  return {
    get lost() {
      return lost
    },
    get waiting() {
      return waiting.length
    },
    record(entry) {
      if (counts[kindOf(entry)] >= most || closing.signal.aborted) {
        lost += 1
        return
      }
      counts[kindOf(entry)] += 1
      waiting.push(entry)
      start()
    },
    async close() {
      closing.abort()
      await running
    },
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false }).catch(() => undefined)
}
