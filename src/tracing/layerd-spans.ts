import type { Job } from '../jobs/model/definitions.ts'
import type { RequestTracer } from '../http/app.ts'
import type { RunObserver } from '../worker/run-observer.ts'
import type { Tracing } from './tracing.ts'

/** A request of the API: what it makes belongs below it. */
export function requestTracer(tracing: Tracing): RequestTracer {
  return ({ method, route, traceparent }, proceed) => {
    const attributes = { 'http.request.method': method, 'http.route': route }
    tracing.within({ name: `${method} ${route}`, kind: 'server', traceparent, attributes }, (span) =>
      proceed({
        traceparent: span.traceparent,
        end(status) {
          span.set({ 'http.response.status_code': status })
          span.end(status >= 500 ? `answered ${status}` : undefined)
        },
      }),
    )
  }
}

/** A run of a job, below the request that made the job. */
export function runTracer(tracing: Tracing): NonNullable<RunObserver['around']> {
  return (job, work) =>
    tracing.within(
      {
        name: `${job.kind} job`,
        kind: 'consumer',
        traceparent: job.traceparent ?? undefined,
        attributes: attributesOf(job),
      },
      async (span) => {
        try {
          const ended = await work()
          const error = errorOf(ended)
          if (error !== undefined) span.set({ 'error.type': error.code })
          span.end(error?.message)
          return ended
        } catch (error) {
          span.end(String(error))
          throw error
        }
      },
    )
}

function attributesOf({ id, kind, source, destination, attempt }: Job) {
  return {
    'layerd.job.id': id,
    'layerd.job.kind': kind,
    'layerd.job.attempt': attempt,
    'layerd.job.source': source,
    ...(destination === null ? {} : { 'layerd.job.destination': destination }),
  }
}

/** Work ends with what it has made, or with the error that it ended by. */
function errorOf(ended: unknown): { code: string; message: string } | undefined {
  return ended instanceof Error && 'code' in ended ? { code: String(ended.code), message: ended.message } : undefined
}
