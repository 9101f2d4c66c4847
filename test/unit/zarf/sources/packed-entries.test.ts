import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openSource } from '../../../../src/files/opened-file.ts'
import { openPackage, type PackageMemory, type StreamedPackage } from '../../../../src/zarf/package.ts'
import { packEntries, unpackEntries } from '../../../../src/zarf/sources/packed-entries.ts'
import { defer } from '../../../helpers/cleanup.ts'
import { buildPackage } from '../../../helpers/packages/package-builder.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const { signal } = new AbortController()

async function open(t: TestContext, path: string, memory: PackageMemory): Promise<StreamedPackage> {
  const opened = await openPackage(await openSource(path), { signal, memory })
  defer(t, async () => await opened[Symbol.asyncDispose]())
  assert.ok(opened.kind === 'streamed')
  return opened
}

/** As another process of the machine would share it, whatever the identity: each file of the test is a new one to this process. */
function sharedMemory() {
  const kept: Buffer[] = []
  const memory: PackageMemory = {
    recall: async () => kept.at(-1),
    remember: async (_identity, packed) => void kept.push(packed),
  }
  return { kept, memory }
}

test('what one process learnt of a package, another knows at once', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 5, layerBytes: 1000 })
  const { kept, memory } = sharedMemory()
  const first = await open(t, built.path, memory)
  assert.equal(first.known, undefined)
  const learnt = await first.scan({ signal })
  await waitFor('it to be shared', () => kept.length === 1)
  const copy = join(folder, `copy-${first.fileName}`)
  await copyFile(built.path, copy)
  const second = await open(t, copy, memory)
  assert.deepEqual(second.known, learnt)
  assert.equal(kept.length, 1, 'what came from there is not told again')
})

test('what was shared and does not hold together is as good as nothing', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 2, layerBytes: 1000 })
  const whole = await sharedEntries(t, built.path)
  const wrong = [
    Buffer.from('no gzip'),
    await packEntries([]),
    await packEntries(whole.slice(1)),
    await packEntries(whole.map((entry) => ({ ...entry, bytes: entry.bytes && Buffer.from('other') }))),
  ]
  for (const [at, packed] of wrong.entries()) {
    const copy = join(folder, `${at}-zarf-package-x.tar.zst`)
    await copyFile(built.path, copy)
    const opened = await open(t, copy, { recall: async () => packed, remember: async () => undefined })
    assert.equal(opened.known, undefined, String(at))
  }
  assert.equal(await unpackEntries(Buffer.from('x')), undefined)
})

async function sharedEntries(t: TestContext, path: string) {
  const { kept, memory } = sharedMemory()
  const copy = join(await tempDir(t), 'zarf-package-y.tar.zst')
  await copyFile(path, copy)
  await (await open(t, copy, memory)).scan({ signal })
  await waitFor('it to be shared', () => kept.length === 1)
  const entries = await unpackEntries(kept[0] as Buffer)
  assert.ok(entries)
  return entries
}
