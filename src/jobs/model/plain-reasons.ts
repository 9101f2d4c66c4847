import { timeOfDay } from '../../lib/text.ts'
import type { Job, JobState } from './definitions.ts'

/** What a job that waits says where its record does not tell for what. The scripts get this very table (scripts.ts). */
export const PLAIN_REASONS = {
  queued: 'waits for its turn',
  scheduled: 'waits for its time',
  paused: 'paused on request',
  canceling: 'its worker closes its connections',
} as const satisfies Partial<Record<JobState, string>>

/** As scripts/jobs/record.lua tells it in events; null where nothing is waited for. Who asks for a job hears its place in the queue, too. */
export function plainReason({ state, reason, error, progress }: Job): string | null {
  if (reason !== null) return reason
  if (state !== 'retrying') return (PLAIN_REASONS as Partial<Record<JobState, string>>)[state] ?? null
  const at = progress.retryAt === null ? '' : `; tried again at ${timeOfDay(progress.retryAt)}`
  return `${error?.title ?? 'the last run failed'}${at}`
}
