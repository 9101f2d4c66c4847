import type { Job } from '../../jobs/model/definitions.ts'
import type { JobEventReader } from '../../jobs/progress/events.ts'
import type { JobQueue } from '../../jobs/queue.ts'

export const MAX_WAIT_SECONDS = 60

/** A worker can die without a last event: the record is looked at so often in any case. */
const LOOK_AGAIN_MS = 5000

/** Seconds of `Prefer: wait=N`, capped; undefined without it. Source: RFC 7240 4.3. */
export function readWait(prefer: string | string[] | undefined): number | undefined {
  const text = [prefer ?? []].flat().join(',')
  const seconds = /(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:$|[,;])/i.exec(text)?.[1]
  return seconds === undefined ? undefined : Math.min(Number(seconds), MAX_WAIT_SECONDS)
}

export interface JobWait {
  queue: Pick<JobQueue, 'get'>
  events: Pick<JobEventReader, 'subscribe'>
  seconds: number
  /** Answers early: the client is gone or layerd shuts down. */
  signal: AbortSignal
  until: (job: Job) => boolean
}

/** The job once `until` holds, or as it is when the time is over; undefined when there is no (longer) such job. */
export async function waitForJob(id: string, wait: JobWait): Promise<Job | undefined> {
  const end = AbortSignal.any([wait.signal, AbortSignal.timeout(wait.seconds * 1000)])
  let wake = () => {}
  let changed = false
  const notice = () => {
    changed = true
    wake()
  }
  // Before the first look: what happens between the two is not missed.
  const unsubscribe = await wait.events.subscribe(id, notice, notice)
  end.addEventListener('abort', notice, { once: true })
  try {
    for (;;) {
      changed = false
      const job = await wait.queue.get(id)
      if (!job || end.aborted || wait.until(job)) return job
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_AGAIN_MS)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
        if (changed) wake()
      })
    }
  } finally {
    end.removeEventListener('abort', notice)
    await unsubscribe()
  }
}
