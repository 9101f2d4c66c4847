import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ByteStream, PushEvent } from '../../../../src/content/endpoints.ts'
import { bufferOpener, readAll } from '../../../../src/content/streams.ts'
import { AppError } from '../../../../src/lib/errors.ts'
import { createContentStore } from '../../../../src/store/content-store.ts'
import { defer } from '../../../helpers/cleanup.ts'
import { descriptorOf } from '../../../helpers/packages/content-suite.ts'
import { recorder, someBytes, testBlob } from '../../../helpers/registries/oci-client.ts'
import { startProcess } from '../../../helpers/processes/processes.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const MIB = 1024 * 1024
const CHILD = fileURLToPath(new URL('../../../helpers/packages/store-child.ts', import.meta.url))
const { signal } = new AbortController()

test('download.crash.rehash: a transfer whose process was killed goes on at the byte that had reached the disk', async (t) => {
  const folder = await tempDir(t, 'store')
  const blob = testBlob(someBytes(5 * MIB))
  const child = await startProcess(t, process.execPath, [CHILD, 'push', folder, `${5 * MIB}`, `${3 * MIB + 100}`])
  await child.waitForOutput(/ready/)
  const partial = join(folder, 'ingest', blob.descriptor.digest.replace(':', '-'))
  await waitFor('whole writes to reach the partial file', async () => (await stat(partial)).size === 3 * MIB)
  await child.kill()

  const store = await createContentStore({ folder })
  const seen = recorder()
  await store.push(blob.descriptor, blob.open, { signal, onEvent: seen.onEvent })
  assert.deepEqual(blob.opened, [3 * MIB])
  assert.deepEqual(seen.starts(), [3 * MIB])
  assert.ok((await readAll(await store.open(blob.descriptor, { signal }))).equals(blob.bytes))
  assert.deepEqual(await readdir(join(folder, 'ingest')), [])
})

test('what arrived before a cut stays on disk and is not asked for again', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  const blob = testBlob(someBytes(2 * MIB))
  const cut = async (): Promise<ByteStream> => cutAfter(blob.bytes, 1_500_000)
  await assert.rejects(store.push(blob.descriptor, cut, { signal }), { code: 'REGISTRY_CONNECTION_LOST' })
  assert.equal(await store.exists(blob.descriptor, { signal }), false)
  await store.push(blob.descriptor, blob.open, { signal })
  assert.deepEqual(blob.opened, [1_500_000])
})

test('a source may reuse the memory of a chunk once three more were asked for', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  const blob = testBlob(someBytes(24 * MIB + 5))
  const lengths = [MIB, 70_000, 10, MIB, MIB, 500_000, 600_000]
  async function* reusing(): ByteStream {
    const given: Buffer[] = []
    for (let at = 0, turn = 0; at < blob.bytes.length; turn += 1) {
      const chunk = Buffer.from(blob.bytes.subarray(at, at + (lengths[turn % lengths.length] ?? 1)))
      at += chunk.length
      given.push(chunk)
      yield chunk
      const old = given[turn - 2]
      if (old && old.length >= 64 * 1024) old.fill(0)
    }
  }
  await store.push(blob.descriptor, async () => reusing(), { signal })
  assert.ok((await readAll(await store.open(blob.descriptor, { signal }))).equals(blob.bytes))
})

test('download.crash.rehash: a partial file whose bytes are wrong costs one transfer from the start, not the pull', async (t) => {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  const blob = testBlob(someBytes(MIB))
  const partial = join(folder, 'ingest', blob.descriptor.digest.replace(':', '-'))
  await writeFile(partial, Buffer.alloc(1000, 7))
  const seen = recorder()
  await store.push(blob.descriptor, blob.open, { signal, onEvent: seen.onEvent })
  assert.deepEqual(blob.opened, [1000, 0])
  const told = seen.events.flatMap((event) => (event.type === 'restarted' ? [event.message] : []))
  assert.match(told.join('\n'), /^the download of sha256:\w{64} starts again: .+ \(DIGEST_MISMATCH\)$/)
  assert.ok(await store.exists(blob.descriptor, { signal }))
})

for (const [what, size] of [
  ['longer than the blob', MIB + 1],
  ['of the right size and wrong', MIB],
] as const) {
  test(`a partial file that is ${what} is thrown away`, async (t) => {
    const folder = await tempDir(t, 'store')
    const store = await createContentStore({ folder })
    const blob = testBlob(someBytes(MIB))
    await writeFile(join(folder, 'ingest', blob.descriptor.digest.replace(':', '-')), Buffer.alloc(size, 7))
    await store.push(blob.descriptor, blob.open, { signal })
    assert.deepEqual(blob.opened, [0])
  })
}

test('a partial file that is whole already needs no source', async (t) => {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  const blob = testBlob(someBytes(MIB))
  await writeFile(join(folder, 'ingest', blob.descriptor.digest.replace(':', '-')), blob.bytes)
  await store.push(blob.descriptor, blob.open, { signal })
  assert.deepEqual(blob.opened, [])
  assert.ok(await store.exists(blob.descriptor, { signal }))
})

test('two pushes of one blob at once move it once, and the second shows the first one moving', async (t) => {
  const folder = await tempDir(t, 'store')
  const blob = testBlob(someBytes(4 * MIB))
  const gate = Promise.withResolvers<void>()
  const [one, two] = await Promise.all([createContentStore({ folder }), createContentStore({ folder })])
  const first = one.push(blob.descriptor, async () => gated(blob.bytes, 2 * MIB, gate.promise), { signal })
  const moving: PushEvent[] = []
  const second = waitFor('the first to write', async () => (await readdir(join(folder, 'ingest'))).length === 2).then(
    () => two.push(blob.descriptor, blob.open, { signal, onEvent: (event) => moving.push(event) }),
  )
  await waitFor('the second to have looked', () => moving.length > 0)
  gate.resolve()
  await Promise.all([first, second])
  assert.deepEqual(blob.opened, [])
  assert.ok(moving.slice(0, -1).every((event) => event.type === 'followed'))
  assert.deepEqual(moving[0], { type: 'followed', offset: 2 * MIB })
  assert.deepEqual(moving.at(-1), { type: 'exists' })
})

test('when the first of two fails, the second goes on where it stopped', async (t) => {
  const folder = await tempDir(t, 'store')
  const blob = testBlob(someBytes(4 * MIB))
  const gate = Promise.withResolvers<void>()
  const store = await createContentStore({ folder })
  const failing = async () => gated(blob.bytes, 2 * MIB, gate.promise, lost())
  const first = assert.rejects(store.push(blob.descriptor, failing, { signal }), { code: 'REGISTRY_CONNECTION_LOST' })
  await waitFor('the first to write', async () => (await readdir(join(folder, 'ingest'))).length === 2)
  const seen = recorder()
  const second = store.push(blob.descriptor, blob.open, { signal, onEvent: seen.onEvent })
  await waitFor('the second to have looked', () => seen.events.length > 0)
  gate.resolve()
  await Promise.all([first, second])
  assert.deepEqual(blob.opened, [2 * MIB])
})

test('a follower that is stopped before it has its place again leaves no lock', async (t) => {
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  const blob = testBlob(someBytes(2 * MIB))
  const gate = Promise.withResolvers<void>()
  const failing = async () => gated(blob.bytes, MIB, gate.promise, lost())
  const first = assert.rejects(store.push(blob.descriptor, failing, { signal }), { code: 'REGISTRY_CONNECTION_LOST' })
  await waitFor('the first to write', async () => (await readdir(join(folder, 'ingest'))).length === 2)
  const stopped = new AppError('JOB_CANCELED', 'stopped in line')
  const waiting = async <T>(wait: () => Promise<T>): Promise<T> => {
    gate.resolve()
    await wait()
    throw stopped
  }
  await assert.rejects(store.push(blob.descriptor, blob.open, { signal, waiting }), stopped)
  await first
  assert.deepEqual(await readdir(join(folder, 'ingest')), [blob.descriptor.digest.replace(':', '-')])
  await store.push(blob.descriptor, blob.open, { signal: AbortSignal.timeout(10_000) })
  assert.ok(await store.exists(blob.descriptor, { signal }))
})

test('a disk that fills up is STORE_FULL with what is free, and what has arrived is kept', async (t) => {
  const folder = await tempDir(t, 'store')
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    t.skip('a small file system cannot be mounted here')
    return
  }
  defer(t, () => void execFileSync('umount', [folder]))
  await mkdir(join(folder, 'store'))
  const store = await createContentStore({ folder: join(folder, 'store') })
  const blob = testBlob(someBytes(6 * MIB))
  await assert.rejects(store.push(blob.descriptor, blob.open, { signal }), (error: AppError) => {
    assert.equal(error.code, 'STORE_FULL')
    assert.equal(error.details?.['errno'], 'ENOSPC')
    assert.equal(typeof error.details?.['freeBytes'], 'number')
    return true
  })
  assert.equal(await store.exists(blob.descriptor, { signal }), false)
  const partial = await stat(join(folder, 'store', 'ingest', blob.descriptor.digest.replace(':', '-')))
  assert.ok(partial.size >= 2 * MIB)
  await assert.rejects(store.lease([blob.descriptor]), { code: 'STORE_FULL' })
})

test('a wait for another transfer is handed to the caller, which gives its place away meanwhile', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  const blob = testBlob(someBytes(2 * MIB))
  const gate = Promise.withResolvers<void>()
  const first = store.push(blob.descriptor, async () => gated(blob.bytes, MIB, gate.promise), { signal })
  let waits = 0
  const waiting = <T>(wait: () => Promise<T>) => {
    waits += 1
    gate.resolve()
    return wait()
  }
  await waitFor('the first to begin', async () => (await readdir(join(store.folder, 'ingest'))).length === 2)
  await store.push(blob.descriptor, blob.open, { signal, waiting })
  await first
  assert.equal(waits, 1)
})

test('a waiting push stops when its signal aborts', async (t) => {
  const store = await createContentStore({ folder: await tempDir(t, 'store') })
  const bytes = someBytes(2 * MIB)
  const gate = Promise.withResolvers<void>()
  const first = store.push(descriptorOf(bytes), async () => gated(bytes, MIB, gate.promise), { signal })
  await waitFor('the first to begin', async () => (await readdir(join(store.folder, 'ingest'))).length === 2)
  const controller = new AbortController()
  const seen = recorder()
  const second = store.push(descriptorOf(bytes), bufferOpener(bytes), {
    signal: controller.signal,
    onEvent: seen.onEvent,
  })
  await waitFor('the second to wait', () => seen.events.length > 0)
  controller.abort(new AppError('JOB_CANCELED', 'stop'))
  await assert.rejects(second, { code: 'JOB_CANCELED' })
  gate.resolve()
  await first
})

function lost(): AppError {
  return new AppError('REGISTRY_CONNECTION_LOST', 'the connection broke')
}

async function* cutAfter(bytes: Buffer, at: number): ByteStream {
  yield bytes.subarray(0, at)
  throw lost()
}

async function* gated(bytes: Buffer, at: number, gate: Promise<void>, error?: Error): ByteStream {
  yield bytes.subarray(0, at)
  await gate
  if (error) throw error
  yield bytes.subarray(at)
}
