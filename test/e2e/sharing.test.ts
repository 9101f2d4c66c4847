import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseDestination } from '../../src/content/reference.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { endedOver, jobOver, publishOver, readyUrl, startLayerd, workersOf } from '../helpers/processes/layerd.ts'
import { assertDaemonTidy } from '../helpers/processes/leftovers.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import type { RunningProcess } from '../helpers/processes/processes.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const LAYER = 8 * MIB
const STOPS_AT = 4 * MIB
const { signal } = new AbortController()

/** Worker processes that take one job each. */
async function startWorkers(t: TestContext, workers: number, roots: string) {
  const env = { LAYERD_WORKERS: `${workers}`, LAYERD_JOBS_PER_WORKER: '1', LAYERD_FILE_ROOTS: roots }
  const dataDir = await shortTempDir(t)
  const layerd = await startLayerd(t, { dataDir, env })
  return { layerd, dataDir, api: await readyUrl(layerd) }
}

async function pullOver(api: string, reference: string): Promise<Job> {
  const response = await fetch(`${api}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'pull', source: `oci://${reference}` }),
  })
  assert.equal(response.status, 202)
  return (await response.json()) as Job
}

/** The process that runs the job. */
function workerOf(layerd: RunningProcess, job: Job) {
  const lines = layerd.output().split('\n')
  const begun = lines.findLast((line) => line.includes(job.id) && line.includes('"run begins"'))
  const { worker } = JSON.parse(begun ?? '{}') as { worker?: string }
  const found = workersOf(layerd.pid).find(({ args }) => args.endsWith(` ${worker}`))
  assert.ok(found, `no worker of ${job.id}`)
  return found
}

test('when the worker that downloads a layer is killed the job that waits for it goes on', async (t) => {
  const folder = await tempDir(t)
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  for (const version of ['1.0.0', '2.0.0']) {
    const built = await buildPackage(folder, { version, layers: 1, layerBytes: LAYER, format: 'tar' })
    await publishTo(t, built.path, parseDestination(registry.host))
  }
  const proxy = await startFaultProxy(t, registry.host)
  const { layerd, dataDir, api } = await startWorkers(t, 2, folder)
  proxy.fail({ down: STOPS_AT }, 'silence')
  const first = await pullOver(api, `${proxy.host}/sample:1.0.0`)
  await waitFor('the first to stop', async () => (await jobOver(api, first.id)).progress.bytesDone > STOPS_AT - MIB)
  const second = await pullOver(api, `${proxy.host}/sample:2.0.0`)
  await waitFor(
    'the second to watch',
    async () => (await jobOver(api, second.id)).progress.bytesSkipped > STOPS_AT - 2 * MIB,
  )
  const victim = workerOf(layerd, first)
  assert.notEqual(workerOf(layerd, second).pid, victim.pid)
  process.kill(victim.pid, 'SIGKILL')
  for (const job of [first, second]) {
    const ended = await endedOver(api, job.id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  }
  assert.ok((await jobOver(api, second.id)).progress.bytesSkipped >= STOPS_AT - 2 * MIB)
  // What the killed one had not yet written comes once more.
  assert.ok(proxy.passed.down < LAYER + 4 * MIB, `${proxy.passed.down} bytes came`)
  await assertDaemonTidy(layerd, { dataDir, farEnds: [proxy.host] })
})

for (const program of registryPrograms()) {
  test(`ten architectures published at once by several workers make ten entries in ${program}`, async (t) => {
    const folder = await tempDir(t)
    const architectures = Array.from({ length: 10 }, (_, at) => `arch${at}`)
    const paths = await Promise.all(
      architectures.map(async (architecture, seed) => (await buildPackage(folder, { architecture, seed })).path),
    )
    const registry = await startDockerRegistry(t, { program })
    const { layerd, dataDir, api } = await startWorkers(t, 3, folder)
    const jobs = await Promise.all(paths.map((path) => publishOver(api, path, `${registry.host}/team`)))
    const digests = new Set<string | undefined>()
    for (const { id } of jobs) {
      const ended = await endedOver(api, id)
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
      const events = await fetch(`${api}/v1/jobs/${id}/events`, { headers: { accept: 'application/json' } })
      assert.doesNotMatch(await events.text(), /INDEX_CONTENDED/)
      digests.add(ended.result?.digest)
    }
    const repository = await registryClient(t).repository(registry.host, 'team/sample')
    const index = JSON.parse((await repository.getManifest('1.0.0', { signal }))?.bytes.toString() ?? '{}') as {
      manifests: Array<{ digest: string; platform: { architecture: string } }>
    }
    const found = index.manifests.map(({ platform }) => platform.architecture)
    assert.deepEqual(found.toSorted(), architectures)
    assert.deepEqual(new Set(index.manifests.map(({ digest }) => digest)), digests)
    assert.ok(new Set(jobs.map((job) => workerOf(layerd, job).pid)).size > 1, 'more than one process took part')
    await assertDaemonTidy(layerd, { dataDir, registry, farEnds: [registry.host] })
  })
}
