import assert from 'node:assert/strict'
import { glob, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { digestOf } from '../../../src/content/digest.ts'
import { parseDestination } from '../../../src/content/reference.ts'
import type { Job } from '../../../src/jobs/model/definitions.ts'
import type { Cleanup } from '../cleanup.ts'
import { type FaultPoint, startFaultProxy } from '../network/fault-proxy.ts'
import { buildPackage } from '../packages/package-builder.ts'
import { publishTo } from '../packages/publishing.ts'
import { type JobSystem, startJobSystem } from '../redis/job-system.ts'
import { type DockerRegistry, type RegistryProgram, startDockerRegistry } from '../registries/docker-registry.ts'
import { tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'
import { assertStreamInvariants } from './progress-invariants.ts'

const MIB = 1024 * 1024
/** Two layers, zarf.yaml, checksums.txt and the config. */
const BLOBS = 5
/** Short, as nobody frees the lock of a worker that was killed. */
const LOCK_MS = 3000

export type CopySide = 'source' | 'destination'

/** Where a copy is stopped: what it asks of one side is not heard from there on. */
export interface CopyStop {
  side: CopySide
  at: FaultPoint
}

export interface StoppedCopy {
  job: Job
  /** Whether it got as far as that. */
  met: boolean
  /** Whether its tag is there. */
  tagged: boolean
  /** Questions to each side. */
  calls: Record<CopySide, number>
}

export interface CopyStops {
  /** Nothing is in the way. */
  clean(t: Cleanup): Promise<StoppedCopy>
  /** Cancels it there. Checks that it ends canceled, and leaves no tag, or a whole one, and nothing else. */
  cancel(t: Cleanup, stop: CopyStop): Promise<StoppedCopy>
  /** Kills its worker there, and starts another one. Checks that it succeeds, and that all that its tag names is there. */
  kill(t: Cleanup, stop: CopyStop): Promise<StoppedCopy>
}

/** Two registries, a package in the one, and jobs that copy it to the other, each into a repository of its own. */
export async function startCopyStops(t: Cleanup, program: RegistryProgram): Promise<CopyStops> {
  const source = await startDockerRegistry(t, { program })
  const there = await startDockerRegistry(t, { program })
  const files = { 'components/middle.tar': { bytes: 2 * MIB, seed: 5 } }
  const built = await buildPackage(await tempDir(t), { layers: 1, layerBytes: 9 * MIB, files })
  await publishTo(t, built.path, parseDestination(`${source.host}/source`))
  let count = 0

  const begin = async (t: Cleanup, stop: CopyStop | undefined, start: (system: JobSystem) => Promise<unknown>) => {
    const name = `run-${(count += 1)}`
    const system = await startJobSystem(t, { roots: [] })
    const proxies = {
      source: await startFaultProxy(t, source.host),
      destination: await startFaultProxy(t, there.host),
    }
    await start(system)
    const fault = stop && proxies[stop.side].fail(stop.at, 'silence')
    const { id } = await system.copy(
      `oci://${proxies.source.host}/source/sample:1.0.0`,
      `oci://${proxies.destination.host}/${name}`,
    )
    const reached = async (): Promise<boolean> => {
      await waitFor('the point, or the end', async () => fault?.met || (await system.queue.get(id))?.done)
      return fault?.met ?? false
    }
    const sessions = () => sessionsOf(there, name)
    const outcome = async (met: boolean): Promise<StoppedCopy> => {
      const job = await system.ended(id)
      assertStreamInvariants(await system.log(id))
      const tagged = await checkTag(there, name, job)
      // One that was opened a moment before may be known to nobody: at most one for each blob and one that was prepared.
      const { length } = await sessions()
      assert.ok(length <= BLOBS + 1, `${length} upload sessions are left`)
      const calls = { source: proxies.source.calls, destination: proxies.destination.calls }
      return { job, met, tagged, calls }
    }
    const cut = () => Object.values(proxies).forEach((proxy) => proxy.cutAll('close'))
    return { system, id, reached, outcome, sessions, cut }
  }
  return {
    async clean(t) {
      const { reached, outcome } = await begin(t, undefined, (system) => system.worker('one'))
      const ended = await outcome(await reached())
      assert.equal(ended.job.state, 'succeeded', JSON.stringify(ended.job.error))
      return ended
    },
    async cancel(t, stop) {
      const run = await begin(t, stop, (each) => each.worker('one'))
      const { system, id, reached, outcome, sessions, cut } = run
      const met = await reached()
      if (met) await system.queue.cancel(id, { reason: 'enough' })
      const ended = await outcome(met)
      assert.equal(ended.job.state, met ? 'canceled' : 'succeeded', JSON.stringify(ended.job.error))
      cut()
      // Of 2.8 no address leads to an upload that was cut.
      if (program === 'registry') {
        await waitFor('uploads to be given up', async () => (await sessions()).every((size) => size === 0))
      }
      await system.assertNothingLeft()
      return ended
    },
    async kill(t, stop) {
      const first: { kill?: () => Promise<unknown> } = {}
      const { system, reached, outcome, cut } = await begin(t, stop, async (each) => {
        const worker = await each.workerProcess('first', { lockMs: LOCK_MS })
        first.kill = () => worker.kill()
      })
      const met = await reached()
      if (met) {
        await first.kill?.()
        // What the kernel does for a process that is gone: all that was sent arrives, then an end.
        cut()
        await system.worker('second', { lockMs: LOCK_MS })
      }
      const ended = await outcome(met)
      assert.deepEqual(
        [ended.job.state, ended.job.attempt],
        ['succeeded', met ? 2 : 1],
        JSON.stringify(ended.job.error),
      )
      return ended
    },
  }
}

/**
 * The tag is there if the job succeeded, and of one that was canceled only if it had been written; all that it names is there,
 * byte for byte.
 */
async function checkTag({ url }: DockerRegistry, name: string, job: Job): Promise<boolean> {
  const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json'
  const get = (path: string) => fetch(`${url}/v2/${name}/sample/${path}`, { headers: { accept } })
  const bytesOf = async (path: string): Promise<Buffer> => {
    const response = await get(path)
    assert.equal(response.status, 200, path)
    return Buffer.from(await response.arrayBuffer())
  }
  if (job.state !== 'succeeded' && (await get('manifests/1.0.0')).status === 404) return false
  const index = JSON.parse((await bytesOf('manifests/1.0.0')).toString()) as { manifests: Array<{ digest: string }> }
  assert.equal(index.manifests.length, 1)
  const manifest = await bytesOf(`manifests/${index.manifests[0]?.digest}`)
  const { config, layers } = JSON.parse(manifest.toString()) as Record<'config', Named> & { layers: Named[] }
  for (const { digest } of [config, ...layers]) assert.equal(digestOf(await bytesOf(`blobs/${digest}`)), digest)
  return true
}

interface Named {
  digest: string
}

/** Bytes in each upload that is open. */
async function sessionsOf({ storage }: DockerRegistry, name: string): Promise<number[]> {
  // A canceled session's folder stays, with the state of its hash alone.
  const open = glob(`docker/registry/v2/repositories/${name}/*/_uploads/*/startedat`, { cwd: storage })
  const sizes = (await Array.fromAsync(open)).map(async (path) => {
    const found = await stat(join(storage, dirname(path), 'data')).catch(() => undefined)
    return found?.size ?? 0
  })
  return await Promise.all(sizes)
}
