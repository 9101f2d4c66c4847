import assert from 'node:assert/strict'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { AppError } from '../../../../src/lib/errors.ts'
import type { Descriptor } from '../../../../src/content/descriptor.ts'
import { OCTET_STREAM } from '../../../../src/content/media-types.ts'
import { openTarget } from '../../../../src/files/opened-target.ts'
import { openUploadFolder } from '../../../../src/files/upload-folder.ts'
import { createContentStore, diskReserve } from '../../../../src/store/content-store.ts'
import { descriptorOf } from '../../../helpers/packages/content-suite.ts'
import { startProcess } from '../../../helpers/processes/processes.ts'
import { someBytes } from '../../../helpers/registries/oci-client.ts'
import { smallDisk } from '../../../helpers/small-disk.ts'

const CHILD = fileURLToPath(new URL('../../../helpers/packages/store-child.ts', import.meta.url))
const { signal } = new AbortController()
const MIB = 1024 * 1024

/** Told of, not made. */
function blobOf(mib: number): Descriptor {
  return { mediaType: OCTET_STREAM, digest: `sha256:${String(mib).padStart(64, '0')}` as never, size: mib * MIB }
}

/** A store that keeps 8 MiB free, and the uploads beside it. */
async function bed(disk: string) {
  const store = await createContentStore({ folder: join(disk, 'store'), keepFree: () => 8 * MIB })
  return { store, uploads: await openUploadFolder({ folder: join(disk, 'uploads'), room: store.room }) }
}

async function* chunks(mib: number, between: (mib: number) => Promise<unknown> = async () => undefined) {
  const chunk = Buffer.alloc(MIB)
  for (let at = 0; at < mib; at += 1) {
    await between(at)
    yield chunk
  }
}

test('a disk keeps 5 % free, at least 256 MiB and at most 10 GiB, or what the setting says', () => {
  const gib = 1024 * MIB
  const reserve = diskReserve()
  assert.deepEqual([gib, 100 * gib, 1000 * gib].map(reserve), [256 * MIB, 5 * gib, 10 * gib])
  assert.equal(diskReserve(0)(gib), 0)
  assert.equal(diskReserve(7)(gib), 7)
})

test('a pull that would take what is kept free may wait, and says what for; one that never fits may not', async (t) => {
  const disk = await smallDisk(t, 32)
  if (disk === undefined) return
  const { store } = await bed(disk)
  await writeFile(join(disk, 'ballast'), Buffer.alloc(16 * MIB))
  await assert.rejects(store.lease([blobOf(12)]), (error: AppError) => {
    assert.deepEqual([error.code, error.retry], ['STORE_FULL', 'transient'])
    assert.match(
      error.message,
      /^waiting for disk: (16|15\.9) MiB free, 8 MiB are kept free for Redis, the pull needs 12 MiB$/,
    )
    assert.equal(error.details?.['neededBytes'], 12 * MIB)
    assert.equal(error.details?.['reserveBytes'], 8 * MIB)
    return true
  })
  await assert.rejects(store.lease([blobOf(25)]), (error: AppError) => {
    assert.deepEqual([error.code, error.retry], ['STORE_FULL', 'permanent'])
    assert.match(error.message, /^the pull needs 25 MiB; the disk of .* has 32 MiB in all, 8 MiB of them are kept free/)
    return true
  })
  await rm(join(disk, 'ballast'))
  await store.lease([blobOf(12)])
})

test('uploads and pulls have one account, in whatever process, until they end or are killed', async (t) => {
  const disk = await smallDisk(t, 40)
  if (disk === undefined) return
  const { store, uploads } = await bed(disk)
  const held = await store.lease([blobOf(20)])
  await assert.rejects(uploads.receive('p.tar', chunks(0), { declaredBytes: 13 * MIB }), {
    code: 'STORE_FULL',
    message: /free, 20 MiB of them promised already, 8 MiB are kept .* the upload needs 13 MiB$/,
  })
  await held[Symbol.asyncDispose]()

  const child = await startProcess(t, process.execPath, [CHILD, 'hold', join(disk, 'store'), String(20 * MIB)])
  await child.waitForOutput(/ready/)
  assert.equal((await store.space()).promisedBytes, 20 * MIB)
  await assert.rejects(store.lease([blobOf(13)]), { code: 'STORE_FULL', message: /20 MiB of them promised already/ })
  await child.kill()
  await using _lease = await store.lease([blobOf(13)])
  assert.deepEqual(await readdir(join(disk, 'uploads')), [])
})

test('an upload keeps no more room than it has brought, whatever it declares, and none once it is whole', async (t) => {
  const disk = await smallDisk(t, 96)
  if (disk === undefined) return
  const { store, uploads } = await bed(disk)
  const promised: number[] = []
  const look = async () => promised.push((await store.space()).promisedBytes)
  await uploads.receive('p.tar', chunks(60, look), { declaredBytes: 60 * MIB })
  assert.equal(promised[0], 16 * MIB)
  for (const [at, bytes] of promised.entries()) {
    // What was yielded may not be written yet.
    assert.ok(bytes <= Math.max(16, 2 * at) * MIB, `${bytes} promised with ${at} MiB sent`)
    assert.ok(bytes <= (60 - at + 10) * MIB, `${bytes} promised with ${60 - at} MiB to come`)
  }
  assert.ok(Math.max(...promised) > 20 * MIB, String(promised))
  assert.equal((await store.space()).promisedBytes, 0)
})

test('who declares much and sends nothing keeps nobody out; the one that then has no room ends, and says so', async (t) => {
  const disk = await smallDisk(t, 96)
  if (disk === undefined) return
  const { store, uploads } = await bed(disk)
  let lease: AsyncDisposable | undefined
  const between = async (at: number) => {
    if (at === 1) lease = await store.lease([blobOf(60)])
  }
  await assert.rejects(uploads.receive('p.tar', chunks(70, between), { declaredBytes: 70 * MIB }), {
    code: 'STORE_FULL',
    message: /promised already.*the upload needs/,
  })
  assert.ok(lease, 'a pull got the room that was only spoken for')
  await lease[Symbol.asyncDispose]()
  assert.deepEqual(await readdir(join(disk, 'uploads')), [])
})

test('an upload of unknown length ends where the rest is kept free or promised', async (t) => {
  const disk = await smallDisk(t, 64)
  if (disk === undefined) return
  const { store, uploads } = await bed(disk)
  await using _lease = await store.lease([blobOf(16)])
  let sent = 0
  const endless = chunks(64, async (at) => (sent = at))
  await assert.rejects(uploads.receive('p.tar', endless), { code: 'STORE_FULL' })
  assert.ok(sent >= 24 && sent <= 41, `${sent} MiB were taken`)
  assert.deepEqual(await readdir(join(disk, 'uploads')), [])
  assert.equal((await store.space()).promisedBytes, 16 * MIB)
})

test('an upload and a pull stop within 8 MiB when others fill the disk; the pull may wait', async (t) => {
  const disk = await smallDisk(t, 64)
  if (disk === undefined) return
  const { store, uploads } = await bed(disk)
  const fill = () => writeFile(join(disk, 'ballast'), Buffer.alloc(43 * MIB))
  const fillAt = (fillMib: number) => async (at: number) => at === fillMib && (await fill())
  await assert.rejects(uploads.receive('p.tar', chunks(20, fillAt(4)), { declaredBytes: 20 * MIB }), {
    code: 'STORE_FULL',
    retry: 'permanent',
  })
  await rm(join(disk, 'ballast'))

  const bytes = someBytes(20 * MIB)
  const stream = async function* () {
    for (let at = 0; at < 20; at += 1) {
      if (at === 4) await fill()
      yield bytes.subarray(at * MIB, (at + 1) * MIB)
    }
  }
  const blob = descriptorOf(bytes)
  const waits = {
    code: 'STORE_FULL',
    retry: 'transient',
    message: /^waiting for disk: .* 8 MiB are kept free for Redis$/,
  }
  await assert.rejects(
    store.push(blob, async () => stream(), { signal }),
    waits,
  )
  const [partial = ''] = await readdir(join(disk, 'store', 'ingest'))
  assert.match(partial, new RegExp(blob.digest.slice(7)))
  const { size } = await stat(join(disk, 'store', 'ingest', partial))
  assert.ok(size >= 15 * MIB && size <= 17 * MIB, `${size} bytes are kept`)
})

test('a disk that others filled to its last byte is one to wait for, too', async (t) => {
  const disk = await smallDisk(t, 16)
  if (disk === undefined) return
  const { store } = await bed(disk)
  const bytes = someBytes(6 * MIB)
  const stream = async function* () {
    yield bytes.subarray(0, MIB)
    await writeFile(join(disk, 'ballast'), Buffer.alloc(13 * MIB))
    yield bytes.subarray(MIB)
  }
  await assert.rejects(
    store.push(descriptorOf(bytes), async () => stream(), { signal }),
    {
      code: 'STORE_FULL',
      retry: 'transient',
      message: /^waiting for disk: /,
    },
  )
})

test('an archive keeps room on the disk of the store; elsewhere nothing is kept free', async (t) => {
  const [disk, other] = [await smallDisk(t, 32), await smallDisk(t, 8)]
  if (disk === undefined || other === undefined) return
  const { store } = await bed(disk)
  const folder = join(disk, 'packages')
  await mkdir(folder)
  const archive = (path: string, mib: number) => store.room.reserve({ path, bytes: mib * MIB, what: 'archive' })
  await using held = await archive(join(folder, 'a.tar'), 10)
  await assert.rejects(store.lease([blobOf(15)]), {
    message: /10 MiB of them promised already.*the pull needs 15 MiB/,
  })
  await assert.rejects(archive(join(folder, 'b.tar'), 15), { retry: 'transient', message: /the archive needs 15 MiB$/ })
  await held.reached(8 * MIB)
  await using _elsewhere = await archive(join(other, 'a.tar'), 7)
  await store.lease([blobOf(13)])
})

test('a pull whose archive and layers never fit beside each other is no one to wait', async (t) => {
  const disk = await smallDisk(t, 32)
  if (disk === undefined) return
  const { store } = await bed(disk)
  const target = openTarget({ path: join(disk, 'packages'), roots: [disk] }, store.room)
  await target.prepare({ name: 'a.tar', size: 13 * MIB, overwrite: false })
  assert.equal(target.bytesBesideStore, 13 * MIB)
  const options = { besideBytes: target.bytesBesideStore }
  await assert.rejects(store.lease([blobOf(12)], options), { retry: 'permanent', message: /needs 25 MiB; the disk of/ })
  await assert.rejects(store.lease([blobOf(12)]), { retry: 'transient' })
  await store.lease([blobOf(10)], options)
})

test('an archive that is written is promised no more', async (t) => {
  const disk = await smallDisk(t, 32)
  if (disk === undefined) return
  const { store } = await bed(disk)
  await using target = openTarget({ path: join(disk, 'packages'), roots: [disk] }, store.room)
  const file = { name: 'a.tar', size: 8 * MIB, overwrite: false }
  await target.prepare(file)
  assert.equal((await store.space()).promisedBytes, 8 * MIB)
  await target.write(file, () => chunks(8), signal)
  assert.equal((await store.space()).promisedBytes, 0)
})
