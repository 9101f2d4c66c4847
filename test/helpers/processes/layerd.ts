import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Job } from '../../../src/jobs/model/definitions.ts'
import type { Cleanup } from '../cleanup.ts'
import { type RunningProcess, startProcess } from './processes.ts'
import { waitFor } from '../wait-for.ts'

export const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))

export interface LayerdOptions {
  /** Of main.ts. Default: none, the all-in-one role. */
  args?: readonly string[]
  dataDir: string
  env?: Record<string, string | undefined>
}

/** layerd as a process of its own, with no setting of the tests' own environment. */
export function startLayerd(t: Cleanup, options: LayerdOptions): Promise<RunningProcess> {
  const foreign = Object.keys(process.env).filter((name) => name.startsWith('LAYERD_'))
  return startProcess(t, process.execPath, [MAIN, ...(options.args ?? [])], {
    env: {
      ...Object.fromEntries(foreign.map((name) => [name, undefined])),
      LAYERD_DATA_DIR: options.dataDir,
      LAYERD_LISTEN: '127.0.0.1:0',
      ...options.env,
    },
  })
}

/** With forty others at a processor Node alone needs half a minute to start, and supervisor and API start one after the other. */
const STARTS = { timeoutMs: 180_000 }

/** Where it listens, once it is ready. */
export async function readyUrl(layerd: RunningProcess): Promise<string> {
  const [, url = ''] = await layerd.waitForOutput(/"url":"(http:[^"]+)"[^\n]*"layerd is up"/, STARTS)
  await waitFor(
    `${url} to be ready`,
    async () => {
      if (!layerd.isRunning()) throw new Error(`layerd ended:\n${layerd.output()}`)
      return (await fetch(`${url}/readyz`)).ok
    },
    STARTS,
  )
  return url
}

/** Repeats what was answered with 503, as on a busy machine, under one Idempotency-Key. */
export async function publishOver(api: string, path: string, destination: string, options = {}): Promise<Job> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() }
  const body = JSON.stringify({ kind: 'publish', source: `file:${path}`, destination: `oci://${destination}`, options })
  const accepted = await waitFor('the job to be accepted', async () => {
    // What is not answered at all is thrown below.
    const response = await fetch(`${api}/v1/jobs`, { method: 'POST', headers, body }).catch((error: unknown) => ({
      error,
    }))
    return 'error' in response || response.status !== 503 ? { response } : undefined
  })
  const { response } = accepted
  if ('error' in response) throw response.error
  if (response.status !== 202) throw new Error(`POST answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Job
}

export async function jobOver(api: string, id: string): Promise<Job> {
  return (await (await fetch(`${api}/v1/jobs/${id}`)).json()) as Job
}

export function endedOver(api: string, id: string): Promise<Job> {
  const ended = async () => {
    const job = await jobOver(api, id)
    return job.done ? job : undefined
  }
  return waitFor(`job ${id} to end`, ended)
}

export interface ProcessFacts {
  pid: number
  parent: number
  session: number
  args: string
}

/** All processes that stem from `pid`, itself not included. From /proc, so Linux alone. */
function descendants(pid: number, all: readonly ProcessFacts[]): ProcessFacts[] {
  return all.filter(({ parent }) => parent === pid).flatMap((child) => [child, ...descendants(child.pid, all)])
}

/** A process from /proc, or undefined when there is none. */
export function readProcess(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, parent, , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z') return undefined
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    return { pid, parent: Number(parent), session: Number(session), args }
  } catch {
    return undefined
  }
}

/** What descends from `pid` now. */
export function childrenOf(pid: number): ProcessFacts[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const all = pids.map((name) => readProcess(Number(name))).filter((facts) => facts !== undefined)
  return descendants(pid, all)
}

export function workersOf(pid: number): ProcessFacts[] {
  return childrenOf(pid).filter(({ args }) => args.startsWith('layerd worker --name '))
}

/** The API of the all-in-one role. */
export function apiOf(pid: number): ProcessFacts {
  const api = childrenOf(pid).find(({ args }) => args === 'layerd serve')
  if (!api) throw new Error(`process ${pid} has no API`)
  return api
}
