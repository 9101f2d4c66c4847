import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import createClient, { type Client } from 'openapi-fetch'
import { fetch, Request } from 'undici'
import { type FollowOptions, follow } from './events.ts'
import type { components, paths } from './schema.d.ts'

export type * from './schema.d.ts'

export type Job = components['schemas']['Job']
export type JobEvent = components['schemas']['JobEvent']
export type FleetEvent = components['schemas']['FleetEvent']
/** Which jobs: a list of values is any of them, of labels (`key=value`) all. `include`: lists that are told, too. */
export type FleetFilter = Pick<
  NonNullable<paths['/v1/events']['get']['parameters']['query']>,
  'state' | 'kind' | 'label' | 'registry' | 'include'
>
export type Problem = components['schemas']['Problem']
export type Upload = components['schemas']['Upload']

export interface LayerdOptions {
  /** Default http://127.0.0.1:8420. */
  url?: string
  /** A bearer token. */
  token?: string
}

/** A daemon. `api` has each operation with its types: `await layerd.api.GET('/v1/jobs/{id}', { params: { path: { id } } })`. */
export interface Layerd {
  readonly api: Client<paths>
  /** Sends a file; a job names it as `upload:{id}`. Throws LayerdError. */
  upload(path: string): Promise<Upload>
  /** The job's events to its end; a broken stream goes on after the last event. Throws LayerdError. */
  follow(jobId: string, options?: FollowOptions): AsyncGenerator<JobEvent>
  /** What happens to all jobs that the filter lets through, without end (docs/integrate.md says how to keep a list by it). Throws LayerdError. */
  followAll(filter?: FleetFilter, options?: FollowOptions): AsyncGenerator<FleetEvent>
}

/** A refusal of the daemon. */
export class LayerdError extends Error {
  override readonly name = 'LayerdError'
  readonly problem: Problem
  constructor(problem: Problem) {
    super(`${problem.code}: ${problem.detail}`)
    this.problem = problem
  }
}

export function createLayerd({ url = 'http://127.0.0.1:8420', token }: LayerdOptions = {}): Layerd {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  // undici's own, so that a stream can be sent and both know the same Request.
  const api = createClient<paths>({
    baseUrl: url,
    headers,
    fetch: fetch as unknown as typeof globalThis.fetch,
    Request: Request as unknown as typeof globalThis.Request,
  })
  return {
    api,
    async upload(path) {
      const { size } = await stat(path)
      const response = await fetch(`${url}/v1/uploads/${encodeURIComponent(basename(path))}`, {
        method: 'PUT',
        headers: { ...headers, 'content-type': 'application/octet-stream', 'content-length': String(size) },
        body: createReadStream(path),
        duplex: 'half',
      })
      if (!response.ok) throw new LayerdError((await response.json()) as Problem)
      return (await response.json()) as Upload
    },
    follow: (jobId, options = {}) => {
      const path = `${url}/v1/jobs/${encodeURIComponent(jobId)}/events`
      return follow<JobEvent>({ url: path, headers, isLast: ({ type }) => type === 'end' }, options, refused)
    },
    followAll: (filter = {}, options = {}) => {
      const query = new URLSearchParams()
      for (const [name, values] of Object.entries(filter)) {
        for (const value of [values].flat()) if (value !== undefined) query.append(name, value)
      }
      return follow<FleetEvent>({ url: `${url}/v1/events?${query}`, headers, isLast: () => false }, options, refused)
    },
  }
}

async function refused(response: { json(): Promise<unknown> }): Promise<never> {
  throw new LayerdError((await response.json()) as Problem)
}

/** The answer's data. Throws LayerdError for a refusal. */
export function dataOf<T>({ data, error }: { data?: T; error?: Problem }): T {
  if (error !== undefined) throw new LayerdError(error)
  return data as T
}
