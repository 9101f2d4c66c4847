import { api, dataOf, Refusal } from '../../api/client.ts'
import type { Job } from '../../api/types.ts'

/** What fields are completed with: what the daemon knows already. */
export interface Known {
  /** `oci://host/namespace`, where something was put before. */
  readonly destinations: readonly string[]
  /** References that jobs were about. */
  readonly references: readonly string[]
  readonly folders: readonly string[]
  readonly keys: readonly string[]
}

export const NOTHING_KNOWN: Known = { destinations: [], references: [], folders: [], keys: [] }
const MOST = 200

/** What one may not see, or what does not answer, completes nothing. */
export async function whatIsKnown(): Promise<Known> {
  const query = { pageSize: MOST }
  const [registries, jobs, files, keys] = await Promise.all([
    orNothing(dataOf(api.GET('/v1/registries', { params: { query } })).then(({ items }) => items)),
    orNothing(dataOf(api.GET('/v1/jobs', { params: { query } })).then(({ items }) => items)),
    orNothing(dataOf(api.GET('/v1/files', { params: { query: { pageSize: 1 } } })).then(({ roots }) => roots)),
    orNothing(dataOf(api.GET('/v1/keys', { params: { query } })).then(({ items }) => items)),
  ])
  const hosts = registries.map(({ host }) => `oci://${host}`)
  const put = jobs.map(({ destination }) => destination ?? '').filter((one) => one.startsWith('oci://'))
  const pulled = jobs.filter(({ kind }) => kind === 'pull').map(({ destination }) => destination ?? '')
  return {
    destinations: [...new Set([...put, ...hosts])],
    references: [...new Set(jobs.flatMap(referencesOf))],
    folders: [...new Set([...pulled.filter((one) => one.startsWith('file:')), ...files])],
    keys: keys.map(({ name }) => name),
  }
}

function referencesOf({ source, result }: Job): string[] {
  return [source, result?.reference ?? ''].filter((one) => one.startsWith('oci://'))
}

async function orNothing<T>(asked: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof Refusal) return []
    throw error
  }
}
