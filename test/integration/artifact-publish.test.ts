import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseManifest } from '../../src/content/manifest.ts'
import { referrersTag } from '../../src/oci/manifests/referrers.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { artifactOf, publishArtifactTo } from '../helpers/packages/artifacts.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { startZot } from '../helpers/registries/zot.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()

async function written(t: TestContext, files: Record<string, string>): Promise<string[]> {
  const folder = await tempDir(t)
  const paths = Object.keys(files).map((name) => join(folder, name))
  await Promise.all(paths.map((path, at) => writeFile(path, Object.values(files)[at] ?? '')))
  return paths
}

for (const program of registryPrograms()) {
  test(`${program}: files of equal bytes are two layers and one blob; published again nothing moves`, async (t) => {
    const { host } = await startDockerRegistry(t, { program })
    const paths = await written(t, { 'a.txt': 'same', 'b.txt': 'same', 'c.txt': 'other' })
    const publish = async () =>
      publishArtifactTo(t, await artifactOf(paths), `${host}/team`, { name: 'my_notes.v2', tag: '1' })
    const { outcome } = await publish()
    assert.deepEqual([outcome.layers, outcome.bytes], [3, 4 + 5 + 2])
    assert.equal(outcome.reference, `oci://${host}/team/my_notes.v2:1`)
    const again = await publish()
    assert.equal(again.outcome.digest, outcome.digest)
    assert.ok(!again.events.some(({ type }) => type === 'started'))
  })

  test(`${program}: two SBOMs that are attached are both found, and neither has a tag of its own`, async (t) => {
    const { host } = await startDockerRegistry(t, { program })
    await publishTo(t, FIXTURES.nemoAmd64, { registry: host, namespace: 'team' })
    const attached: string[] = []
    for (const [name, type] of [
      ['one.json', 'application/spdx+json'],
      ['two.json', 'application/vnd.cyclonedx+json'],
    ] as const) {
      const artifact = await artifactOf(await written(t, { [name]: name }), { artifactType: type })
      const { outcome } = await publishArtifactTo(t, artifact, `${host}/team`, { name: 'nemo', subject: '1.2.0' })
      assert.equal(outcome.reference, `oci://${host}/team/nemo@${outcome.digest}`)
      attached.push(outcome.digest)
    }
    const repository = await openRepository(t, host, { repository: 'team/nemo' })
    const index = await repository.getManifest('1.2.0', { signal })
    assert.ok(index)
    const { from, referrers } = await repository.referrers(index.digest, { signal })
    assert.deepEqual([from, referrers.map(({ digest }) => digest)], ['tag', attached])
    assert.deepEqual(await repository.tags({ signal }), ['1.2.0', referrersTag(index.digest)].toSorted())
  })
}

test('zot lists what is attached by itself', async (t) => {
  if (skipWithout(t, 'zot')) return
  const { host } = await startZot(t)
  const base = await publishArtifactTo(t, await artifactOf(await written(t, { a: 'a' })), host, { name: 'x', tag: '1' })
  const more = { name: 'x', subject: '1' }
  const { outcome } = await publishArtifactTo(t, await artifactOf(await written(t, { b: 'b' })), host, more)
  const repository = await openRepository(t, host, { repository: 'x' })
  const { from, referrers } = await repository.referrers(base.outcome.digest, { signal })
  assert.deepEqual([from, referrers.map(({ digest }) => digest)], ['api', [outcome.digest]])
})

describe('what is refused before a byte moves', () => {
  const memory = async (t: TestContext) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const moved = () => registry.requests.filter(({ method }) => method === 'PUT' || method === 'PATCH').length
    return { registry, moved }
  }

  test('a tag that Zarf packages lie under; a subject that is not there; no name, no tag', async (t) => {
    const { registry, moved } = await memory(t)
    await publishTo(t, FIXTURES.nemoAmd64, { registry: registry.host, namespace: 'team' })
    const before = moved()
    const paths = await written(t, { 'a.txt': 'a' })
    const refused: Array<[string, { name?: string; tag?: string; subject?: string }]> = [
      ['TAG_HOLDS_PACKAGES', { name: 'nemo', tag: '1.2.0' }],
      ['MANIFEST_NOT_FOUND', { name: 'nemo', subject: '9.9.9' }],
      ['MANIFEST_NOT_FOUND', { name: 'nemo', subject: digestOf('nothing') }],
      ['BODY_INVALID', { tag: '1' }],
      ['TAG_INVALID', { name: 'nemo' }],
      ['TAG_INVALID', { name: 'nemo', tag: '-' }],
      ['REFERENCE_INVALID', { name: 'a..b', tag: '1' }],
    ]
    for (const [code, options] of refused) {
      const asked = publishArtifactTo(t, await artifactOf(paths), `${registry.host}/team`, options)
      await assert.rejects(asked, { code }, JSON.stringify(options))
    }
    assert.equal(moved(), before)
    assert.equal(registry.openSessions, 0)
  })

  test('a file that is written to between its hash and its bytes', async (t) => {
    const { registry } = await memory(t)
    const [path = ''] = await written(t, { 'a.txt': 'before' })
    const artifact = await artifactOf([path])
    await writeFile(path, 'behind')
    const asked = publishArtifactTo(t, artifact, registry.host, { name: 'notes', tag: '1' })
    await assert.rejects(asked, { code: 'PACKAGE_CHANGED', message: /a\.txt/ })
    assert.equal(registry.manifests.get('notes', '1'), undefined)
  })

  test('a signature that a policy wants: nothing here vouches for files', async (t) => {
    const { registry, moved } = await memory(t)
    const verificationFor = async (repository: string) => {
      assert.equal(repository, 'team/notes')
      return { check: () => assert.fail('refused') }
    }
    const artifact = await artifactOf(await written(t, { a: 'a' }))
    const asked = publishArtifactTo(t, artifact, `${registry.host}/team`, { name: 'notes', tag: '1', verificationFor })
    await assert.rejects(asked, /refused/)
    assert.equal(moved(), 0)
  })
})

test('what a registry lost after it said that it has it is sent again', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const body = JSON.stringify({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown' }] })
  registry.fail({ method: 'PUT', path: /\/manifests\// }, { kind: 'answer', status: 404, body })
  const artifact = await artifactOf(await written(t, { 'a.txt': 'a' }))
  const { outcome } = await publishArtifactTo(t, artifact, registry.host, { name: 'notes', tag: '1' })
  const raw = await (await openRepository(t, registry.host, { repository: 'notes' })).getManifest('1', { signal })
  assert.equal(raw?.digest, outcome.digest)
  assert.ok(raw && parseManifest(raw, 'notes').kind === 'manifest')
})
