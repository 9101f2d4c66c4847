import type { ApiClient } from '../client/api-client.ts'
import { answer } from '../client/calls.ts'
import type { Job } from '../client/contract.ts'
import { ApiProblem, problem } from '../client/problems.ts'
import { rowsOf } from './list.ts'

const WHOLE = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const PREFIX = /^[0-9a-f][0-9a-f-]*$/

/** A whole id as it is; a beginning of one where a single job has it. Throws ApiProblem. */
export async function jobIdOf(client: ApiClient, text: string): Promise<string> {
  const id = text.toLowerCase()
  if (WHOLE.test(id)) return id
  const found = PREFIX.test(id) ? await jobsThatBegin(client, id) : []
  const [only] = found
  if (only !== undefined && found.length === 1) return only.id
  if (found.length === 0) throw noJob(`no job's id begins with "${text}"`)
  const ids = found.map((job) => job.id).join(', ')
  throw new ApiProblem({
    ...problem('REQUEST_INVALID', 400, `several jobs' ids begin with "${text}": ${ids}`),
    hint: 'Give more of the id.',
  })
}

/** The newest job. Throws ApiProblem, also where there is none. */
export async function newestJobId(client: ApiClient): Promise<string> {
  const { items } = await answer(client.calls.GET('/v1/jobs', { params: { query: { pageSize: 1 } } }))
  const [newest] = items
  if (newest) return newest.id
  throw noJob('there are no jobs')
}

function noJob(detail: string): ApiProblem {
  return new ApiProblem({ ...problem('JOB_NOT_FOUND', 404, detail), hint: 'layerd jobs lists those there are.' })
}

/** At most two: more would not tell more. */
async function jobsThatBegin({ calls }: ApiClient, prefix: string): Promise<Job[]> {
  const found: Job[] = []
  const rows = rowsOf((page) => answer(calls.GET('/v1/jobs', { params: { query: { ...page, q: prefix } } })))
  for await (const job of rows) {
    if (job.id.startsWith(prefix)) found.push(job)
    if (found.length === 2) break
  }
  return found
}
