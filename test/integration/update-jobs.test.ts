import assert from 'node:assert/strict'
import { copyFile, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { digestHex, digestOf, parseDigest } from '../../src/content/digest.ts'
import { createContentStore } from '../../src/store/content-store.ts'
import type { NewJob } from '../../src/jobs/model/requests.ts'
import { type ListJson, readEntries } from '../helpers/packages/update-entries.ts'
import { twoVersions, updateFile } from '../helpers/packages/updating.ts'
import { startWebServer } from '../helpers/network/web-server.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024

/** Jobs over a store that has the older version, and an update below the file roots. */
async function bed(t: TestContext, changedBytes = MIB) {
  const big = (seed: number) => ({ files: { 'data.bin': { bytes: changedBytes, seed } } })
  const versions = await twoVersions(t, { base: big(7), made: big(8) })
  const outside = await createContentStore({ folder: await tempDir(t, 'outside') })
  for (const version of ['1.0.0', '1.1.0']) await versions.pull(outside, version)
  const path = await updateFile(t, outside, { digest: versions.made, since: versions.base })
  const root = await tempDir(t, 'root')
  await copyFile(path, join(root, basename(path)))
  const system = await startJobSystem(t, { roots: [root] })
  await versions.pull(system.store, '1.0.0')
  return { ...versions, system, outside, update: `file:${join(root, basename(path))}` }
}

async function applyJob({ queue }: JobSystem, source: string, more: Partial<NewJob> = {}) {
  const { job } = await queue.create(
    {
      kind: 'apply',
      source,
      destination: null,
      options: {},
      labels: {},
      queueHost: 'local',
      registries: [],
      principal: 'anonymous',
      requestId: 'test',
      ...more,
    },
    {},
  )
  return job
}

test('a job applies an update, and says of what it made which', async (t) => {
  const { system, update, base, made } = await bed(t)
  await system.worker('one')
  const { id } = await applyJob(system, update)
  const job = await system.ended(id)
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  const { result, progress } = job
  assert.deepEqual(
    [result?.digest, result?.since, result?.reference, result?.name, result?.version],
    [made, base, `store:${made}`, 'sample', '1.1.0'],
  )
  assert.equal(job.package?.name, 'sample')
  assert.equal(progress.bytesDone, progress.bytesTotal)
  assert.ok(progress.bytesSkipped > 0 && progress.bytesSent >= MIB, JSON.stringify(progress))
  assertStreamInvariants(await system.log(id))
  await system.assertNothingLeft()
  // The package is one like any other: published from here it has the digest that it had there.
  const { id: onward } = await system.publish('', `oci://${(await twoVersions(t)).registry.host}/there`, {
    source: `store:${made}`,
  })
  assert.equal((await system.ended(onward)).result?.digest, made)
})

test('an update of a web server is applied by its hash, and another one of that name is not', async (t) => {
  const { system, update, made } = await bed(t)
  await system.worker('one')
  const server = await startWebServer(t)
  const bytes = await readFile(fileURLToPath(update))
  server.paths.set('/layerd-update.tar.zst', { bytes, etag: '"one"' })
  const source = `${server.url}/layerd-update.tar.zst`
  const applied = async (sha256: string) =>
    await system.ended((await applyJob(system, source, { options: { sha256 } })).id)
  const wrong = await applied('0'.repeat(64))
  assert.deepEqual([wrong.state, wrong.error?.code], ['failed', 'PACKAGE_CHECKSUM_MISMATCH'])
  assert.equal(await system.store.packages.get(made), undefined)
  const job = await applied(digestHex(digestOf(bytes)))
  assert.deepEqual([job.state, job.result?.digest], ['succeeded', made], JSON.stringify(job.error))
})

test('a job for a base that another principal pulled fails, and leaves nothing', async (t) => {
  const { system, update, base, made } = await bed(t)
  await system.worker('one')
  const job = await system.ended((await applyJob(system, update, { principal: 'bob' })).id)
  assert.deepEqual([job.state, job.error?.code], ['failed', 'UPDATE_BASE_MISSING'])
  assert.deepEqual([job.error?.details?.['base'], job.error?.details?.['stored']], [base, []])
  assert.equal(await system.store.packages.get(made), undefined)
  await system.assertNothingLeft()
})

/** Until it is let go, somebody else is bringing the layer that is new: an update stands before it, all else is there. */
async function holdLayer(t: TestContext, { store }: JobSystem, path: string) {
  const { included } = JSON.parse(String((await readEntries(path))[0]?.content)) as ListJson
  const { digest = '', ...layer } = included.at(-1) ?? {}
  const { promise, reject } = Promise.withResolvers<never>()
  const opened = Promise.withResolvers<void>()
  const open = async () => {
    opened.resolve()
    return await promise
  }
  const { signal } = new AbortController()
  const held = store.push({ mediaType: '', size: 0, ...layer, digest: parseDigest(digest) }, open, { signal })
  held.catch(() => undefined)
  await opened.promise
  const letGo = async () => {
    reject(new Error('let go'))
    await held.catch(() => undefined)
  }
  t.after(letGo)
  return letGo
}

async function standing({ queue }: JobSystem, id: string): Promise<void> {
  await waitFor('all but one layer to be there', async () => {
    const { layers } = (await queue.get(id))?.progress ?? {}
    return layers?.total && layers.done === layers.total - 1
  })
}

test('a worker that is killed in the middle leaves no package, and the next one makes it', async (t) => {
  const { system, update, made } = await bed(t)
  const letGo = await holdLayer(t, system, fileURLToPath(update))
  const choices = { lockMs: 3000 }
  const first = await system.workerProcess('first', choices)
  const { id } = await applyJob(system, update)
  await standing(system, id)
  await first.kill()
  assert.equal(await system.store.packages.get(made), undefined)
  await letGo()
  await system.worker('second', choices)
  const job = await system.ended(id)
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  assert.ok(job.attempt >= 2)
  assert.equal((await system.store.packages.get(made))?.complete, true)
  assertStreamInvariants(await system.log(id))
  await system.assertNothingLeft()
})

test('an update that the disk has no room for waits, and is made once there is some', async (t) => {
  const { system, update, made } = await bed(t)
  const { freeBytes } = await system.store.disk()
  const poor = await system.worker('poor', { diskReserve: Math.floor(freeBytes * 2) })
  const { id } = await applyJob(system, update)
  const waiting = await waitFor('the job to wait for room', async () => {
    const job = await system.queue.get(id)
    return job?.reason?.startsWith('waiting for disk') || job?.done ? job : undefined
  })
  assert.equal(waiting.done, false, JSON.stringify(waiting.error))
  assert.equal(await system.store.packages.get(made), undefined)
  await poor.stop(1000)
  await system.worker('rich')
  assert.equal((await system.ended(id)).state, 'succeeded')
})

test('a store that may not grow so far refuses an update with the figures', async (t) => {
  const { system, update, made } = await bed(t)
  await system.worker('small', { storeMaxBytes: MIB })
  const job = await system.ended((await applyJob(system, update)).id)
  assert.deepEqual([job.state, job.error?.code], ['failed', 'STORE_FULL'])
  assert.equal(await system.store.packages.get(made), undefined)
  await system.assertNothingLeft()
})

test('an update that is canceled leaves no package', async (t) => {
  const { system, update, made } = await bed(t)
  await holdLayer(t, system, fileURLToPath(update))
  await system.worker('one')
  const { id } = await applyJob(system, update)
  await standing(system, id)
  await system.queue.cancel(id)
  assert.equal((await system.ended(id)).state, 'canceled')
  assert.equal(await system.store.packages.get(made), undefined)
})
