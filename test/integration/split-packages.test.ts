import assert from 'node:assert/strict'
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { filesOf, splitPackage } from '../helpers/packages/split-package.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { parseDestination } from '../../src/content/reference.ts'

async function bed(t: TestContext) {
  const root = await tempDir(t, 'root')
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const system = await startJobSystem(t, { roots: [root] })
  await system.worker('one')
  const publish = async (path: string) => system.ended((await system.publish(path, `oci://${registry.host}/team`)).id)
  return { root, registry, system, publish }
}

test('a split package is published under the digest of the whole, and its parts stay', async (t) => {
  const { root, registry, system, publish } = await bed(t)
  for (const path of FIXTURES.splitNemo) await copyFile(path, join(root, basename(path)))
  const before = await filesOf(root)
  const job = await publish(join(root, basename(FIXTURES.splitNemo[0] ?? '')))
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  assert.equal(job.result?.digest, await digestOfJoined(t))
  assert.equal(job.result?.reference, `oci://${registry.host}/team/nemo:1.2.0`)
  assertStreamInvariants(await system.log(job.id))
  assert.deepEqual(await filesOf(root), before)
  await system.assertNothingLeft(registry)
})

/** What zarf would publish once it had joined the parts. */
async function digestOfJoined(t: TestContext): Promise<string> {
  const path = join(await tempDir(t), basename(FIXTURES.nemoAmd64))
  await writeFile(path, Buffer.concat(await Promise.all(FIXTURES.splitNemo.slice(1).map((part) => readFile(part)))))
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return (await publishTo(t, path, parseDestination(`${registry.host}/team`))).outcome.digest
}

test('so is an uncompressed one, in parts that no file begins or ends with', async (t) => {
  const { root, publish } = await bed(t)
  const elsewhere = await tempDir(t)
  const built = await buildPackage(elsewhere, { format: 'tar', layers: 4, layerBytes: 300_000 })
  const { head } = await splitPackage(built.path, root, 77_777)
  const whole = await startMemoryRegistry()
  t.after(() => whole.close())
  const { outcome } = await publishTo(t, built.path, parseDestination(`${whole.host}/team`))
  const job = await publish(head)
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  assert.equal(job.result?.digest, outcome.digest)
})

test('a flipped or misplaced part is named, nothing is sent, and the parts stay', async (t) => {
  const { root, registry, publish } = await bed(t)
  const elsewhere = await tempDir(t)
  const built = {
    'tar.zst': await buildPackage(elsewhere, { layers: 12, layerBytes: 500_000, compressible: 0 }),
    tar: await buildPackage(elsewhere, { layers: 12, layerBytes: 500_000, format: 'tar' }),
  }
  const cases: Array<
    [what: string, format: keyof typeof built, damage: (parts: string[]) => Promise<void>, named: number[]]
  > = [
    ['flipped', 'tar.zst', (parts) => flip(parts[4]), [5]],
    ['flipped in its last byte', 'tar.zst', (parts) => flip(parts.at(-1)), [7]],
    ['flipped', 'tar', (parts) => flip(parts[4]), [5]],
    ['the first two swapped', 'tar.zst', (parts) => swap(parts[0], parts[1]), [1, 2]],
    ['two in the middle swapped', 'tar.zst', (parts) => swap(parts[3], parts[4]), [4]],
    ['the last one swapped', 'tar.zst', (parts) => swap(parts[2], parts[6]), [3]],
  ]
  for (const [index, [what, format, damage, named]] of cases.entries()) {
    await t.test(`${format}: ${what}`, async () => {
      const folder = join(root, String(index))
      await mkdir(folder)
      const { head, parts } = await splitPackage(built[format].path, folder, 1_000_000)
      assert.equal(parts.length, 7)
      await damage(parts)
      const before = await filesOf(folder)
      const { state, error } = await publish(head)
      assert.deepEqual([state, error?.code], ['failed', 'PACKAGE_CHECKSUM_MISMATCH'], JSON.stringify(error))
      for (const part of named) assert.match(error?.detail ?? '', new RegExp(`part00${part}`))
      assert.deepEqual(await filesOf(folder), before)
      assert.deepEqual(registry.requests, [])
    })
  }
})

async function flip(path = ''): Promise<void> {
  const bytes = await readFile(path)
  const at = Math.floor(bytes.length / 2)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(path, bytes)
}

async function swap(one = '', other = ''): Promise<void> {
  await rename(one, `${one}.tmp`)
  await rename(other, one)
  await rename(`${one}.tmp`, other)
}
