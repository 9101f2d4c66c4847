import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseDestination } from '../../src/content/reference.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { smallDisk } from '../helpers/small-disk.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024

test('a pull past the limit of the store waits, with the reason, until there is room; one that never fits fails at once', async (t) => {
  const folder = await tempDir(t)
  await using registry = await startMemoryRegistry()
  for (const [version, layerBytes] of [
    ['1.0.0', 3 * MIB],
    ['2.0.0', 2 * MIB],
    ['3.0.0', 5 * MIB],
  ] as const) {
    const built = await buildPackage(folder, { version, layers: 1, layerBytes, format: 'tar' })
    await publishTo(t, built.path, parseDestination(registry.host))
  }
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one', { storeMaxBytes: 4 * MIB })
  const pull = (version: string) => system.pull(`oci://${registry.host}/sample:${version}`)
  const first = await system.ended((await pull('1.0.0')).id)
  assert.equal(first.state, 'succeeded', JSON.stringify(first.error))

  const never = await system.ended((await pull('3.0.0')).id)
  assert.deepEqual([never.state, never.attempt, never.error?.code], ['failed', 1, 'STORE_FULL'])
  assert.match(never.error?.hint ?? '', /never fits/)

  const waiting = await pull('2.0.0')
  const queued = await waitFor('it to wait', async () => {
    const job = await system.queue.get(waiting.id)
    return job?.state === 'queued' && job.reason !== null ? job : undefined
  })
  assert.match(queued.reason ?? '', /^the pull needs \d+ bytes; the store has \d+ of its 4194304 left/)
  assert.equal(queued.error, null)
  await system.store.packages.delete((first.result?.digest ?? '') as never)
  const ended = await system.ended(waiting.id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  assert.equal(ended.attempt, 1, 'to look for room is no attempt')
  assertStreamInvariants(await system.log(waiting.id))
  await system.assertNothingLeft(registry)
})

test('a pull waits, with the reason, while the disk has only what is kept free for Redis', async (t) => {
  const disk = await smallDisk(t, 48)
  if (disk === undefined) return
  const folder = await tempDir(t)
  await using registry = await startMemoryRegistry()
  for (const [version, layerBytes] of [
    ['1.0.0', 3 * MIB],
    ['2.0.0', 3 * MIB + 1],
  ] as const) {
    const built = await buildPackage(folder, { version, layers: 1, layerBytes, format: 'tar' })
    await publishTo(t, built.path, parseDestination(registry.host))
  }
  const system = await startJobSystem(t, { roots: [folder, disk], folder: disk })
  await system.worker('one', { diskReserve: 16 * MIB })
  // What is left is too little for the layers; for them and the archive, which are there at once.
  for (const [version, destination, ballastMib] of [
    ['1.0.0', 'store:', 30],
    ['2.0.0', `file:${disk}/out/`, 24],
  ] as const) {
    await writeFile(join(disk, 'ballast'), Buffer.alloc(ballastMib * MIB))
    const waiting = await system.pull(`oci://${registry.host}/sample:${version}`, { destination })
    const queued = await waitFor('it to wait', async () => {
      const job = await system.queue.get(waiting.id)
      if (job?.done) throw new Error(`it ended: ${JSON.stringify(job.error)}`)
      return job?.state === 'queued' && job.reason?.startsWith('waiting') ? job : undefined
    })
    assert.match(
      queued.reason ?? '',
      /^waiting for disk: [\d.]+ MiB free,( 3 MiB of them promised already,)? 16 MiB are kept free for Redis, the pull needs 3 MiB$/,
    )
    assert.equal(queued.error, null)
    assert.equal(queued.progress.bytesDone, 0, 'no layer moves before there is room for all')
    await rm(join(disk, 'ballast'))
    const ended = await system.ended(waiting.id)
    assert.deepEqual([ended.state, ended.attempt], ['succeeded', 1], JSON.stringify(ended.error))
    assertStreamInvariants(await system.log(waiting.id))
  }
  assert.equal((await system.store.space()).promisedBytes, 0)
  await system.assertNothingLeft(registry)
})
