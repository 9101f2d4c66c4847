import assert from 'node:assert/strict'
import { DEFAULT_CONCURRENCY } from '../../../src/worker/registry-access.ts'
import type { Cleanup } from '../cleanup.ts'
import { buildPackage } from '../packages/package-builder.ts'
import { childrenOf, endedOver, publishOver, readProcess, readyUrl, startLayerd } from '../processes/layerd.ts'
import type { RunningProcess } from '../processes/processes.ts'
import { startMemoryRegistry } from '../registries/memory-registry.ts'
import { shortTempDir, tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'

const MIB = 1024 * 1024
const JOBS = 20
const JOBS_AT_ONCE = 4

/** SIGKILL of daemon, API, workers and Redis. */
export async function killAll(layerd: RunningProcess): Promise<void> {
  const own = [layerd.pid, ...childrenOf(layerd.pid).map(({ pid }) => pid)]
  // The API ends with its supervisor, maybe before its turn comes.
  for (const pid of own) if (readProcess(pid)) process.kill(pid, 'SIGKILL')
  await waitFor('all to be gone', () => own.every((pid) => readProcess(pid) === undefined))
}

/**
 * Publishes one package with many jobs, kills everything once these are accepted and the registry has been asked `requests`
 * times, and starts a daemon on the same directory. Checks what must hold wherever that was: all accepted jobs succeed, each
 * with one run in each daemon at most, and no upload stays open that somebody could know of. Returns how many requests
 * there were at the kill, and in all.
 */
export async function killAllAt(t: Cleanup, requests: number): Promise<{ before: number; all: number }> {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 10 * MIB, format: 'tar' })
  await using registry = await startMemoryRegistry()
  const dataDir = await shortTempDir(t)
  const env = { LAYERD_FILE_ROOTS: folder, LAYERD_WORKERS: '1', LAYERD_JOBS_PER_WORKER: String(JOBS_AT_ONCE) }
  const first = await startLayerd(t, { dataDir, env })
  const api = await readyUrl(first)
  const jobs = await Promise.all(Array.from({ length: JOBS }, () => publishOver(api, built.path, registry.host)))
  const before = await waitFor(
    'the registry to be asked so often',
    () => registry.requests.length >= requests && { count: registry.requests.length },
    { intervalMs: 1 },
  )
  await killAll(first)
  await waitFor('the registry to have done what they asked for', () => registry.connections === 0)
  const open = new Set(registry.sessions().map(({ id }) => id))

  const second = await startLayerd(t, { dataDir, env })
  const next = await readyUrl(second)
  for (const { id } of jobs) {
    const ended = await endedOver(next, id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
    if (ended.attempt > 2) assert.fail(`${ended.attempt} runs:\n${await story(next, id, [first, second])}`)
  }
  // One that was opened a moment before the kill may be known to nobody: at most one for each blob that could be under way
  // and one for each job that prepared, and none with a large layer's bytes in it.
  const left = () => registry.sessions().filter(({ id, bytes }) => !open.has(id) || bytes >= MIB)
  await waitFor('all other uploads to be finished or given up', () => left().length === 0)
  const perJob = DEFAULT_CONCURRENCY + 1
  assert.ok(registry.openSessions <= JOBS_AT_ONCE * perJob, `${registry.openSessions} open uploads`)
  return { before: before.count, all: registry.requests.length }
}

/** What a job and the daemons say about its runs. */
async function story(api: string, id: string, daemons: readonly RunningProcess[]): Promise<string> {
  const log = await (await fetch(`${api}/v1/jobs/${id}/logs`)).text()
  return [log, ...daemons.map((daemon) => daemon.output())].join('\n')
}
