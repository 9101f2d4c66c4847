import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { packManifest, EMPTY, EMPTY_BYTES } from '../../src/artifact/pack.ts'
import { type Descriptor, TITLE_ANNOTATION } from '../../src/content/descriptor.ts'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { failsWith } from '../helpers/packages/pull-bed.ts'
import { artifactOf, publishArtifactTo, pullFilesFrom } from '../helpers/packages/artifacts.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { readPackage } from '../helpers/packages/pulling.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** An artifact of these titles, each file holding its own; `undefined`: a layer without one. */
function put(registry: MemoryRegistry, titles: ReadonlyArray<string | undefined>): string {
  registry.putBlob('x', EMPTY_BYTES)
  const layers = titles.map((title, at): Descriptor => {
    const bytes = Buffer.from(`${at} ${title ?? ''}`)
    registry.putBlob('x', bytes)
    const annotations = title === undefined ? {} : { annotations: { [TITLE_ANNOTATION]: title } }
    return { mediaType: 'text/plain', digest: digestOf(bytes), size: bytes.length, ...annotations }
  })
  const { bytes } = packManifest({ artifactType: 'text/x', config: EMPTY, layers, annotations: {} })
  registry.manifests.put('x', '1', OCI_MANIFEST, bytes)
  return `${registry.host}/x:1`
}

async function memory(t: TestContext): Promise<MemoryRegistry> {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}

const all = async (folder: string) => (await readdir(folder, { recursive: true })).toSorted()

for (const program of registryPrograms()) {
  test(`${program}: files come back as they were published, and nothing of them stays in the store`, async (t) => {
    const { host } = await startDockerRegistry(t, { program })
    const folder = await tempDir(t)
    const names = ['a.txt', 'empty', 'é.bin']
    for (const name of names) await writeFile(join(folder, name), name === 'empty' ? '' : name.repeat(1000))
    const artifact = await artifactOf(names.map((name) => join(folder, name)))
    const { outcome } = await publishArtifactTo(t, artifact, host, { name: 'notes', tag: '1' })
    const pulled = await pullFilesFrom(t, `${host}/notes:1`)
    assert.deepEqual(await all(pulled.root), names.toSorted())
    for (const name of names) {
      assert.deepEqual(await readFile(join(pulled.root, name)), await readFile(join(folder, name)), name)
    }
    const { digest, layers, path, artifactType } = pulled.outcome
    assert.deepEqual([digest, layers, path], [outcome.digest, 3, pulled.root])
    assert.equal(artifactType, 'application/vnd.unknown.artifact.v1')
    assert.equal((await pulled.store.space()).usedBytes, 0)
  })

  test(`${program}: a Zarf package's files too, those of one architecture`, async (t) => {
    const { host } = await startDockerRegistry(t, { program })
    for (const path of [FIXTURES.nemoAmd64, FIXTURES.nemoArm64]) {
      await publishTo(t, path, { registry: host, namespace: 'team' })
    }
    const { root, outcome } = await pullFilesFrom(t, `${host}/team/nemo:1.2.0`, { architecture: 'arm64' })
    const { files } = await readPackage(FIXTURES.nemoArm64)
    for (const [path, bytes] of files) assert.deepEqual(await readFile(join(root, path)), bytes, path)
    assert.equal(outcome.layers, files.size)
  })
}

test('layers without titles are files by their digests, and what stands for nothing is none', async (t) => {
  const registry = await memory(t)
  const { root } = await pullFilesFrom(t, put(registry, ['docs/a.txt', undefined]))
  const digest = digestOf('1 ').replace(':', '-')
  assert.deepEqual(await all(root), ['docs', 'docs/a.txt', digest].toSorted())
  const { bytes } = packManifest({ artifactType: 'text/x', config: EMPTY, layers: [EMPTY], annotations: {} })
  registry.manifests.put('x', 'none', OCI_MANIFEST, bytes)
  const none = await pullFilesFrom(t, `${registry.host}/x:none`)
  assert.deepEqual([none.outcome.layers, await all(none.root)], [0, []])
})

test('of an index of images the entry of its architecture', async (t) => {
  const registry = await memory(t)
  put(registry, ['a.txt'])
  const held = registry.manifests.get('x', '1')
  assert.ok(held)
  const entry = (architecture: string) => ({
    mediaType: OCI_MANIFEST,
    digest: digestOf(held.bytes),
    size: held.bytes.length,
    platform: { architecture, os: 'linux' },
  })
  registry.manifests.put('x', digestOf(held.bytes), OCI_MANIFEST, held.bytes)
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [entry('s390x'), entry('riscv64')],
  })
  registry.manifests.put('x', 'index', OCI_INDEX, Buffer.from(index))
  const reference = `${registry.host}/x:index`
  assert.deepEqual(await all((await pullFilesFrom(t, reference, { architecture: 's390x' })).root), ['a.txt'])
  await assert.rejects(pullFilesFrom(t, reference), failsWith('ARCHITECTURE_NOT_FOUND', /s390x, riscv64/))
})

describe('hostile titles are refused before anything moves, and leave nothing', () => {
  const refused: Array<[string, readonly string[], string]> = [
    ['one that leads out', ['a.txt', '../b.txt'], 'PACKAGE_UNSAFE_PATH'],
    ['one that leads out from within', ['a/../../b.txt'], 'PACKAGE_UNSAFE_PATH'],
    ['an absolute one', ['/etc/passwd'], 'PACKAGE_UNSAFE_PATH'],
    ['a backslash', ['..\\b.txt'], 'PACKAGE_UNSAFE_PATH'],
    ['an empty one', [''], 'PACKAGE_UNSAFE_PATH'],
    ['a dot', ['.'], 'PACKAGE_UNSAFE_PATH'],
    ['a NUL', ['a\0b'], 'PACKAGE_UNSAFE_PATH'],
    ['a line end', ['a\nb'], 'PACKAGE_UNSAFE_PATH'],
    ['a name longer than file systems take', ['x'.repeat(250)], 'PACKAGE_UNSAFE_PATH'],
    ['a path longer than that', [`${'a/'.repeat(700)}b`], 'PACKAGE_UNSAFE_PATH'],
    ['too many folders', [`${'a/'.repeat(40)}b`], 'PACKAGE_UNSAFE_PATH'],
    ['the same twice with other bytes', ['a.txt', 'a.txt'], 'ARTIFACT_INVALID'],
    ['the same but for the case', ['a.txt', 'A.TXT'], 'ARTIFACT_INVALID'],
    ['the same but for how an accent is written', ['\u00e9', 'e\u0301'], 'ARTIFACT_INVALID'],
    ['a file that another one lies in', ['a', 'a/b'], 'ARTIFACT_INVALID'],
    ['the same the other way round, in other case', ['A/b/c', 'a/B'], 'ARTIFACT_INVALID'],
  ]
  for (const [what, titles, code] of refused) {
    test(what, async (t) => {
      const registry = await memory(t)
      const root = await tempDir(t, 'pulled')
      await assert.rejects(pullFilesFrom(t, put(registry, titles), { into: root }), failsWith(code))
      assert.deepEqual(await readdir(root), [])
      assert.equal(registry.requests.filter(({ path }) => path.includes('/blobs/')).length, 0)
    })
  }
})

describe('what lies in the folder before', () => {
  test('a file of that name stays, unless it may be replaced', async (t) => {
    const registry = await memory(t)
    const root = await tempDir(t, 'pulled')
    await writeFile(join(root, 'b.txt'), 'mine')
    const reference = put(registry, ['a.txt', 'b.txt'])
    await assert.rejects(pullFilesFrom(t, reference, { into: root }), failsWith('PACKAGE_EXISTS', /b\.txt/))
    assert.deepEqual(await all(root), ['b.txt'])
    await pullFilesFrom(t, reference, { into: root, overwrite: true })
    assert.equal(await readFile(join(root, 'b.txt'), 'utf8'), '1 b.txt')
  })

  test('a link that leads out of the folder is not followed, and what was written before it goes again', async (t) => {
    const registry = await memory(t)
    const top = await tempDir(t, 'top')
    const [root, outside] = [join(top, 'root'), join(top, 'outside')]
    await Promise.all([mkdir(root), mkdir(outside)])
    await symlink(outside, join(root, 'link'))
    const reference = put(registry, ['new/deep/a.txt', 'link/b.txt'])
    await assert.rejects(pullFilesFrom(t, reference, { into: root }), failsWith('PACKAGE_OUTSIDE_ROOTS'))
    assert.deepEqual([await all(root), await all(outside)], [['link'], []])
  })

  test('a link to a file is replaced, not written through', async (t) => {
    const registry = await memory(t)
    const root = await tempDir(t, 'pulled')
    const other = join(await tempDir(t), 'other')
    await writeFile(other, 'theirs')
    await symlink(other, join(root, 'a.txt'))
    await pullFilesFrom(t, put(registry, ['a.txt']), { into: root, overwrite: true })
    assert.equal(await readFile(other, 'utf8'), 'theirs')
    assert.equal(await readFile(join(root, 'a.txt'), 'utf8'), '0 a.txt')
  })
})
