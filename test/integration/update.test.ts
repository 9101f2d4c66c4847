import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { digestOf } from '../../src/content/digest.ts'
import { readAll } from '../../src/content/streams.ts'
import { createContentStore } from '../../src/store/content-store.ts'
import { openStoredPackage } from '../../src/transfer/stored-package.ts'
import { createVerification, openTrustedRoots } from '../../src/trust/verification.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, pullFrom } from '../helpers/packages/pulling.ts'
import {
  CHANGED_BYTES,
  SHARED_BYTES,
  applyTo,
  putVersion,
  twoVersions,
  updateFile,
} from '../helpers/packages/updating.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const NO_ROOTS = openTrustedRoots('/nonexistent')
const { signal } = new AbortController()

const newStore = async (t: TestContext) => createContentStore({ folder: await tempDir(t, 'store') })

test('an update makes of the stored older version the very package, by digest, archive and owner', async (t) => {
  const { base, made, pull } = await twoVersions(t)
  const [from, to] = [await newStore(t), await newStore(t)]
  for (const version of ['1.0.0', '1.1.0']) await pull(from, version)
  await pull(to, '1.0.0', 'carrier')
  const path = await updateFile(t, from, { digest: made, since: base })
  assert.equal(basename(path), 'layerd-update-sample-amd64-1.0.0-1.1.0.tar.zst')
  const { length } = await readFile(path)
  assert.ok(length > CHANGED_BYTES && length < SHARED_BYTES, `${length} bytes`)
  const { outcome, events } = await applyTo(to, path, { owner: 'carrier' })
  assert.deepEqual([outcome.digest, outcome.since, outcome.version], [made, base, '1.1.0'])
  const record = await to.packages.get(made)
  assert.deepEqual([record?.complete, record?.owners?.map(({ name }) => name)], [true, ['carrier']])
  const archiveOf = async (store: typeof to) => {
    const archive = await (await openStoredPackage(store, made, signal)).archive()
    return { name: archive.fileName, bytes: await readAll(archive.open({ signal })) }
  }
  const [ours, theirs] = [await archiveOf(to), await archiveOf(from)]
  assert.equal(ours.name, theirs.name)
  assert.ok(ours.bytes.equals(theirs.bytes))
  const plan = events.find((event) => event.type === 'plan')
  assert.equal(plan?.type === 'plan' && plan.bytes, outcome.bytes)
})

test('updates go one after another, of what an update made too, and again without a change', async (t) => {
  const versions = await twoVersions(t)
  const { registry, base, made } = versions
  const next = await putVersion(t, registry, { version: '1.2.0', files: { 'data.bin': 'small' } })
  const [from, to] = [await newStore(t), await newStore(t)]
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) await versions.pull(from, version)
  await versions.pull(to, '1.0.0')
  const first = await updateFile(t, from, { digest: made, since: base })
  const second = await updateFile(t, from, { digest: next, since: made })
  await assert.rejects(applyTo(to, second), { code: 'UPDATE_BASE_MISSING' })
  assert.equal((await applyTo(to, first)).outcome.digest, made)
  assert.equal((await applyTo(to, second)).outcome.digest, next)
  const again = await applyTo(to, second)
  assert.equal(again.outcome.digest, next)
  const moved = again.events.filter(({ type }) => type === 'bytes')
  assert.deepEqual(moved, [], 'what is there is not written again')
  // What was put together here can be carried on from here.
  const onward = await updateFile(t, to, { digest: next, since: made })
  assert.deepEqual(await readFile(onward), await readFile(second))
})

test('the same package is older and newer: an update may lead back, unpacked, by a base of which the maker has the manifest alone', async (t) => {
  const { registry, base, made, pull } = await twoVersions(t)
  const [from, to] = [await newStore(t), await newStore(t)]
  await pull(from, '1.0.0')
  await pullFrom(t, `${registry.host}/team/sample:1.1.0`, { store: from, architecture: 'amd64', metadataOnly: true })
  await pull(to, '1.1.0')
  const path = await updateFile(t, from, { digest: base, since: made })
  const unpacked = join(await tempDir(t), 'update.tar')
  await writeFile(unpacked, zstdDecompressSync(await readFile(path)))
  assert.equal((await applyTo(to, unpacked)).outcome.digest, base)
  assert.equal((await to.packages.get(base))?.complete, true)
  await assert.rejects(updateFile(t, from, { digest: made, since: base }), { code: 'PACKAGE_INCOMPLETE' })
})

test('of a signed package the signature is always inside, and is checked where that is wanted', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [
    { path: FIXTURES.nemoAmd64, published: 'nemo' },
  ])
  await fillRegistry(registry, { repository: 'team/nemo', tag: 'signed' }, [
    { path: FIXTURES.signedNemo, published: 'signedNemo' },
  ])
  const [plain, signed] = [digestOf(publishedManifest('nemo')), digestOf(publishedManifest('signedNemo'))]
  const [from, to] = [await newStore(t), await newStore(t)]
  for (const tag of ['1.2.0', 'signed']) {
    await pullFrom(t, `${registry.host}/team/nemo:${tag}`, { store: from, architecture: 'amd64' })
  }
  await pullFrom(t, `${registry.host}/team/nemo:1.2.0`, { store: to, architecture: 'amd64' })
  const path = await updateFile(t, from, { digest: signed, since: plain })
  const by = async (key: string) => await createVerification({ mode: 'always', key }, NO_ROOTS)
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' })
  const wrong = await by(String(other))
  assert.ok(wrong)
  await assert.rejects(applyTo(to, path, { verification: wrong }), { code: 'SIGNATURE_UNTRUSTED' })
  assert.equal(await to.packages.get(signed), undefined)
  const right = await by(await readFile(FIXTURES.signedNemoKey, 'utf8'))
  assert.ok(right)
  const { outcome } = await applyTo(to, path, { verification: right })
  assert.deepEqual([outcome.digest, outcome.signatures?.[0]?.verified], [signed, true])
})
