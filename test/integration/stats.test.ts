import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import type { JobStats } from '../../src/jobs/system/stats.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startJobSystem, type JobSystem } from '../helpers/redis/job-system.ts'
import { totalsOf } from '../helpers/redis/stats.ts'
import { type DockerRegistry, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024

test('a publish, a pull and a copy count what the jobs say, which is what went to and came from the registries', async (t) => {
  const [docker, memory] = await Promise.all([startDockerRegistry(t), startMemoryRegistry({ singlePost: true })])
  t.after(() => memory.close())
  const system = await startJobSystem(t, { roots: [dirname(FIXTURES.nemoAmd64)] })
  await Promise.all([system.worker('one'), system.worker('two')])

  const published = await succeeded(system, await system.publish(FIXTURES.nemoAmd64, docker.host))
  const sent = published.progress.wireBytes
  assert.ok(sent > 0 && sent === published.progress.bytesSent)
  assert.equal(sent, await storedBlobs(docker, published))
  const ofPublish = { jobsBegun: 1, jobsSucceeded: 1, bytesSent: sent, wireBytesSent: sent }
  assert.deepEqual(totalsOf(await hours(system, docker.host)), ofPublish)

  const reference = published.result?.reference ?? ''
  const pulled = await succeeded(system, await system.pull(reference))
  const got = pulled.progress.wireBytes
  assert.deepEqual(kindOf(await hours(system, docker.host), 'pull'), {
    jobsBegun: 1,
    jobsSucceeded: 1,
    bytesReceived: got,
    wireBytesReceived: got,
  })
  assert.ok(got > 0 && got <= servedBlobs(docker), `${got} of ${servedBlobs(docker)}`)

  const copy = { registries: [memory.host, docker.host] }
  const copied = await succeeded(system, await system.copy(reference, memory.host, copy))
  const moved = copied.progress.wireBytes
  assert.equal(moved, arrivedBlobs(memory.requests))
  const atSource = kindOf(await hours(system, docker.host), 'copy')
  assert.deepEqual(atSource, { bytesReceived: moved, wireBytesReceived: moved })
  const atDestination = totalsOf(await hours(system, memory.host))
  assert.deepEqual(atDestination, { jobsBegun: 1, jobsSucceeded: 1, bytesSent: moved, wireBytesSent: moved })
  assert.deepEqual(totalsOf(await hours(system)), {
    jobsBegun: 3,
    jobsSucceeded: 3,
    bytesSent: sent + moved,
    wireBytesSent: sent + moved,
    bytesReceived: got + moved,
    wireBytesReceived: got + moved,
  })
})

test('a worker that is killed takes along what it had not told, and who goes on counts nothing twice', async (t) => {
  const folder = await tempDir(t)
  const { path } = await buildPackage(folder, { layers: 2, layerBytes: 8 * MIB, format: 'tar' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots: [folder] })
  const victim = await system.workerProcess('victim', { lockMs: 2000 })
  registry.fail({ method: 'PATCH', nth: 2 }, { kind: 'stall-request', afterBytes: 3 * MIB })
  const { id } = await system.publish(path, registry.host, { options: { concurrency: 1 } })
  await waitFor('a layer and a part of the other to be counted', async () => {
    const { wireBytesSent = 0 } = totalsOf(await hours(system))
    return wireBytesSent > 8 * MIB
  })
  victim.signal('SIGKILL')
  const before = totalsOf(await hours(system))
  assert.deepEqual(before, { jobsBegun: 1, bytesSent: before.wireBytesSent, wireBytesSent: before.wireBytesSent })
  await system.worker('heir', { lockMs: 2000 })
  const ended = await system.ended(id)
  const { wireBytes, bytesTotal } = ended.progress
  const after = totalsOf(await hours(system))
  assert.deepEqual([after.jobsBegun, after.jobsSucceeded, after.wireBytesSent], [1, 1, wireBytes])
  assert.ok((after.bytesSent ?? 0) <= (bytesTotal ?? 0))
  assert.ok(wireBytes <= arrivedBlobs(registry.requests))
})

async function succeeded(system: JobSystem, { id }: { id: string }) {
  const ended = await system.ended(id)
  assert.equal(ended.error, null)
  return ended
}

function hours({ queue }: JobSystem, registry?: string): Promise<JobStats> {
  return queue.stats({ resolution: 'hour', buckets: 2, registry })
}

function kindOf({ kinds }: JobStats, wanted: string) {
  const found = kinds.find(({ kind }) => kind === wanted)
  return found && totalsOf(found)
}

/** Bytes of all that is in its storage, but for the package's manifest and the index under its tag. */
async function storedBlobs({ storage, url }: DockerRegistry, { result }: Job): Promise<number> {
  const files = (await readdir(storage, { recursive: true })).filter((path) => path.endsWith('/data'))
  const sizes = await Promise.all(files.map(async (path) => (await stat(join(storage, path))).size))
  const [, repository, tag] = /^oci:\/\/[^/]+\/(.+):([^:]+)$/.exec(result?.reference ?? '') ?? []
  const headers = { accept: 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json' }
  const manifests = [tag, result?.digest].map(async (name) => {
    const answer = await fetch(`${url}/v2/${repository}/manifests/${name}`, { headers })
    return (await answer.arrayBuffer()).byteLength
  })
  return sum(sizes) - sum(await Promise.all(manifests))
}

/** By its access log. */
function servedBlobs(registry: DockerRegistry): number {
  const served = registry.logs().matchAll(/"GET \/v2\/\S+\/blobs\/\S+ HTTP\/1\.1" 20[06] (\d+)/g)
  return sum([...served].map(([, bytes]) => Number(bytes)))
}

function arrivedBlobs(requests: ReadonlyArray<{ path: string; bodyBytes: number }>): number {
  return sum(requests.filter(({ path }) => path.includes('/blobs/')).map(({ bodyBytes }) => bodyBytes))
}

function sum(figures: readonly number[]): number {
  return figures.reduce((all, figure) => all + figure, 0)
}
