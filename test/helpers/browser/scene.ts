import type { Job } from '../../../src/jobs/model/definitions.ts'
import type { Cleanup } from '../cleanup.ts'
import { startFaultProxy } from '../network/fault-proxy.ts'
import { freePort } from '../network/ports.ts'
import { buildPackage } from '../packages/package-builder.ts'
import { endedOver, jobOver, publishOver, readyUrl, startLayerd } from '../processes/layerd.ts'
import type { RunningProcess } from '../processes/processes.ts'
import { startDockerRegistry } from '../registries/docker-registry.ts'
import { shortTempDir, tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'
import { buildDashboard } from './built-dashboard.ts'

export interface Scene {
  url: string
  daemon: RunningProcess
  registry: string
  /** Where packages lie. */
  root: string
  jobs: { running: Job; waiting: Job; failed: Job; finished: Job }
}

const MIB = 1024 * 1024

/** A daemon with a job of each sort: one that moves for as long as the test wants, one that waits, one that failed, one that is done. */
export async function startScene(t: Cleanup, settings: Readonly<Record<string, string>> = {}): Promise<Scene> {
  buildDashboard()
  const registry = await startDockerRegistry(t)
  // A quarter of an hour for the first layer: nobody waits for its end.
  const slow = await startFaultProxy(t, registry.host, { bytesPerSecond: 32 * 1024 })
  const [dataDir, root] = [await shortTempDir(t), await tempDir(t, 'root')]
  const env = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: root, ...settings }
  const daemon = await startLayerd(t, { dataDir, env })
  const url = await readyUrl(daemon)
  const small = await buildPackage(root, { name: 'coral', layers: 3, layerBytes: 20_000 })
  const large = await buildPackage(root, { name: 'whale', layers: 4, layerBytes: [28 * MIB, 8 * MIB, MIB, 4096] })
  const nowhere = `127.0.0.1:${await freePort()}`
  const publish = (path: string, host: string) => publishOver(url, path, `${host}/team`, { plainHttp: true })
  const finished = await endedOver(url, (await publish(small.path, registry.host)).id)
  const failed = await becomes(url, await pullOver(url, `oci://${registry.host}/team/nobody:1.0.0`), 'failed')
  const waiting = await publish(small.path, nowhere)
  const running = await moves(url, await publish(large.path, slow.host))
  return { url, daemon, registry: registry.host, root, jobs: { running, waiting, failed, finished } }
}

export function becomes(url: string, { id }: Pick<Job, 'id'>, state: string): Promise<Job> {
  return waitFor(`job ${id} to be ${state}`, async () => {
    const job = await jobOver(url, id)
    return job.state === state ? job : undefined
  })
}

function moves(url: string, { id }: Job): Promise<Job> {
  return waitFor(`job ${id} to have moved bytes`, async () => {
    const job = await jobOver(url, id)
    return job.progress.bytesSent > 0 ? job : undefined
  })
}

export async function pullOver(url: string, source: string): Promise<Job> {
  const body = JSON.stringify({ kind: 'pull', source, options: { plainHttp: true } })
  const response = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  if (response.status !== 202) throw new Error(`POST answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as Job
}
