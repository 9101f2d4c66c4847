import type { Renderer } from '../../src/cli/view/renderers.ts'
import type { Job, JobEvent, JobResult } from '../../src/jobs/model/definitions.ts'
import { serverSentEvents } from '../helpers/streams/sse-client.ts'

export interface JobBody {
  kind: 'publish' | 'pull'
  source: string
  destination: string
}

/** Runs a job through the API and shows its event stream. Throws when it does not succeed. */
export async function runAndWatch(
  api: string,
  body: JobBody,
  renderer: Renderer,
): Promise<{ jobId: string; result: JobResult }> {
  const response = await fetch(`${api}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (response.status !== 202) throw new Error(`the job was refused: ${await response.text()}`)
  const { id } = (await response.json()) as Job
  const job = await watch(`${api}/v1/jobs/${id}/events`, renderer).finally(() => renderer.stop())
  if (job.state === 'succeeded' && job.result) return { jobId: id, result: job.result }
  throw new Error(`the job is ${job.state}: ${JSON.stringify(job.error ?? job.reason)}`)
}

async function watch(url: string, renderer: Renderer): Promise<Job> {
  for await (const { id, event, data } of serverSentEvents(await fetch(url))) {
    if (event === 'ping') continue
    const parsed = JSON.parse(data) as JobEvent
    renderer.event(id === undefined ? parsed : { ...parsed, id })
    if (parsed.type === 'end') return parsed.job
  }
  throw new Error('the event stream ended before the job did')
}
