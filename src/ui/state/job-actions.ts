import { api, dataOf } from '../api/client.ts'
import type { Job } from '../api/types.ts'
import { fleet } from './fleet.svelte.ts'

export type JobAction = 'cancel' | 'pause' | 'resume' | 'retry' | 'remove'

const PAUSABLE: ReadonlySet<string> = new Set(['queued', 'scheduled', 'running', 'retrying'])

const SENSIBLE: Readonly<Record<JobAction, (job: Job) => boolean>> = {
  cancel: ({ done, state }) => !done && state !== 'canceling',
  pause: ({ state }) => PAUSABLE.has(state),
  resume: ({ state }) => state === 'paused',
  retry: ({ state }) => state === 'failed' || state === 'canceled',
  remove: ({ done }) => done,
}

/** Whether it makes sense in the state that is known; the daemon has the last word. */
export function may(action: JobAction, job: Job | undefined): boolean {
  return job !== undefined && SENSIBLE[action](job)
}

type Asked = { params: { path: { id: string } }; body: null }

const ASKING = {
  cancel: (asked: Asked) => api.POST('/v1/jobs/{id}/cancel', asked),
  pause: (asked: Asked) => api.POST('/v1/jobs/{id}/pause', asked),
  resume: (asked: Asked) => api.POST('/v1/jobs/{id}/resume', asked),
  retry: (asked: Asked) => api.POST('/v1/jobs/{id}/retry', asked),
} as const

/** `auth`: X-Registry-Auth; undefined: with what layerd knows. Throws Refusal. */
export async function retryWith(id: string, auth: string | undefined): Promise<void> {
  const header = auth === undefined ? {} : { 'x-registry-auth': auth }
  fleet.learn([await dataOf(api.POST('/v1/jobs/{id}/retry', { params: { path: { id }, header }, body: null }))])
}

/** Throws Refusal. */
export async function perform(action: JobAction, id: string): Promise<void> {
  const params = { path: { id } }
  if (action === 'remove') {
    await dataOf(api.DELETE('/v1/jobs/{id}', { params }))
    fleet.jobs.delete(id)
    return
  }
  const job = await dataOf(ASKING[action]({ params, body: null }))
  fleet.learn([job])
}
