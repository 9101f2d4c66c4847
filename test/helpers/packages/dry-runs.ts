import assert from 'node:assert/strict'
import { readdir, readFile, lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Job, TransferPlan } from '../../../src/jobs/model/definitions.ts'
import type { NewJob } from '../../../src/jobs/model/requests.ts'
import { assertStreamInvariants } from '../sweeps/progress-invariants.ts'
import { type JobSystem, startJobSystem } from '../redis/job-system.ts'
import type { WorkerChoices } from '../redis/test-worker.ts'
import { type MemoryRegistry, type MemoryRegistryOptions, startMemoryRegistry } from '../registries/memory-registry.ts'
import { tempDir } from '../temp-dir.ts'

export interface DryRunBed {
  system: JobSystem
  /** What jobs may write to. */
  folder: string
  registry: (options?: MemoryRegistryOptions) => Promise<MemoryRegistry>
  /** Runs it, and holds that nothing was written by it: to registries, the store or the folder. */
  plan: (
    kind: 'publish' | 'pull' | 'copy',
    source: string,
    to: string,
    options?: NewJob['options'],
  ) => Promise<PlannedJob>
  /** The same without dryRun. */
  run: (kind: 'publish' | 'pull' | 'copy', source: string, to: string, options?: NewJob['options']) => Promise<Job>
}

export interface PlannedJob {
  job: Job
  plan: TransferPlan
}

export async function dryRunBed(t: TestContext, choices: WorkerChoices = {}): Promise<DryRunBed> {
  const folder = await tempDir(t, 'written')
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one', choices)
  const registries: MemoryRegistry[] = []
  const run: DryRunBed['run'] = async (kind, source, to, options = {}) => {
    const started =
      kind === 'pull'
        ? system.pull(source, { destination: to, options })
        : kind === 'copy'
          ? system.copy(source, to, { options })
          : system.publish(source, to, { source, options })
    return await system.ended((await started).id)
  }
  return {
    system,
    folder,
    run,
    async registry(options) {
      const registry = await startMemoryRegistry(options)
      registries.push(registry)
      t.after(() => registry.close())
      return registry
    },
    async plan(kind, source, to, options = {}) {
      for (const { requests } of registries) requests.length = 0
      const before = await stateOf([folder, system.store.folder])
      const job = await run(kind, source, to, { ...options, dryRun: true })
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
      assert.deepEqual(await stateOf([folder, system.store.folder]), before, 'nothing changed on a disk')
      const wrote = registries.flatMap(({ requests }) =>
        requests
          .filter(({ method }) => !['GET', 'HEAD'].includes(method))
          .map(({ method, path }) => `${method} ${path}`),
      )
      assert.deepEqual(wrote, [], 'nothing was written to a registry')
      const log = await system.log(job.id)
      assertStreamInvariants(log)
      const phases = log.flatMap((event) => (event.type === 'progress' ? [event.progress.phase] : []))
      assert.deepEqual([...new Set(phases)], ['planning'])
      const { plan } = job.result ?? {}
      assert.ok(plan)
      assert.equal(plan.blobs, plan.blobsToMove + plan.blobsToMount + plan.blobsThere)
      assert.equal(plan.bytes, plan.bytesToMove + plan.bytesToMount + plan.bytesThere)
      return { job, plan }
    },
  }
}

/** Each file with what it holds, or its size, and when it was changed. */
async function stateOf(folders: readonly string[]): Promise<string[]> {
  const found = folders.map(async (folder) => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    return await Promise.all(
      entries.map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        const { size, mtimeMs } = await lstat(path)
        return entry.isFile() && size < 10_000
          ? `${path} ${await readFile(path, 'latin1')}`
          : `${path} ${size} ${mtimeMs}`
      }),
    )
  })
  return (await Promise.all(found)).flat().toSorted()
}
