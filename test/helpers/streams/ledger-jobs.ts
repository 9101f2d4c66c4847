import { digestOf } from '../../../src/content/digest.ts'
import type { Progress, Transfer } from '../../../src/jobs/model/definitions.ts'
import { initialProgress } from '../../../src/jobs/record/record.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import { createLedger } from '../../../src/worker/ledger.ts'

export const EMPTY: Progress = { ...initialProgress(new Date(0).toISOString()), phase: 'planning' }

const SIZES = [0, 1, 100, 5000]
export const BLOBS = SIZES.map((size, index) => ({ digest: digestOf(`blob ${index}`), size }))
export const TOTAL = SIZES.reduce((sum, size) => sum + size, 0)

/** Runs of a job: each starts from what the one before left in the store. */
export function job() {
  let progress = EMPTY
  const stored = new Map<string, Transfer>()
  let now = 0
  return {
    run(events: readonly EngineEvent[], check?: (progress: Progress) => void): Progress {
      const ledger = createLedger({ progress, transfers: [...stored.values()], describe: () => null, now })
      for (const event of events) {
        ledger.apply(event)
        now += 100
        progress = ledger.progress(now)
        for (const row of ledger.takeChanged()) stored.set(row.digest, row)
        check?.(progress)
      }
      return progress
    },
    rows: () => [...stored.values()],
  }
}

export const announced: EngineEvent[] = [
  ...BLOBS.map(
    ({ digest, size }): EngineEvent => ({
      type: 'transfer',
      digest,
      title: digest.slice(0, 12),
      mediaType: 'a/b',
      size,
    }),
  ),
  { type: 'plan', layers: BLOBS.length, bytes: TOTAL },
]
