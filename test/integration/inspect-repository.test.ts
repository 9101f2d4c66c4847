import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, packageFiles, putPackage } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'

interface Held {
  tags: string[]
  packages: { tag: string; kind: string; version: string | null; flavor: string | null; architectures: string[] }[]
  problems: { tag: string; code: string }[]
  versions: string[]
  flavors: string[]
  architectures: string[]
  nextPageToken?: string
}

test('a repository tells its tags, and of a page of them versions, flavors and architectures', async (t) => {
  const registry = await startMemoryRegistry({ danglingIndexes: true })
  t.after(() => registry.close())
  const repository = 'team/pilot'
  const put = (tag: string, packages: Parameters<typeof fillRegistry>[2]) =>
    fillRegistry(registry, { repository, tag }, packages)
  await put('2.0.0-rc.7-brass', [{ path: FIXTURES.pilotBrass, published: 'pilotBrass' }])
  await put('2.0.0-rc.7-iron', [{ path: FIXTURES.pilotIron, published: 'pilotIron' }])
  await put('1.10.0', [{ path: FIXTURES.keel, published: 'keel' }])
  await put('1.9.0', [
    { path: FIXTURES.nemoAmd64, published: 'nemo' },
    { path: FIXTURES.nemoArm64, published: 'nemo', architecture: 'arm64' },
  ])
  const bundle = publishedManifest('armadaBundle')
  registry.manifests.put(repository, digestOf(bundle), OCI_MANIFEST, bundle)
  registry.manifests.put(repository, '0.5.0-bundle', OCI_INDEX, publishedIndex('armadaBundle'))
  registry.manifests.put(repository, '0.4.0-gone', OCI_INDEX, publishedIndex('logbook'))
  const image = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('{}'), size: 2 },
      layers: [],
    }),
  )
  registry.manifests.put(repository, 'image', OCI_MANIFEST, image)
  const { app } = await startApp(t)
  const ask = async (more = '') => {
    const ref = encodeURIComponent(`oci://${registry.host}/${repository}`)
    return await app.inject(`/v1/remote-packages?ref=${ref}${more}`)
  }
  const all = (await ask()).json<Held>()
  assert.equal(all.tags.length, 7)
  assert.deepEqual(
    all.packages.map(({ tag, kind, version, flavor }) => [tag, kind, version, flavor]),
    [
      ['image', 'other', null, null],
      ['2.0.0-rc.7-iron', 'package', '2.0.0-rc.7', 'iron'],
      ['2.0.0-rc.7-brass', 'package', '2.0.0-rc.7', 'brass'],
      ['1.10.0', 'package', '0.9.0', null],
      ['1.9.0', 'package', '1.2.0', null],
      ['0.5.0-bundle', 'bundle', null, null],
    ],
  )
  assert.deepEqual(
    all.problems.map(({ tag, code }) => [tag, code]),
    [['0.4.0-gone', 'MANIFEST_NOT_FOUND']],
  )
  assert.deepEqual(
    [all.versions, all.flavors, all.architectures],
    [
      ['2.0.0-rc.7', '0.9.0', '1.2.0'],
      ['iron', 'brass'],
      ['amd64', 'arm64'],
    ],
  )
  assert.equal(all.nextPageToken, undefined)

  const seen: string[] = []
  let token = ''
  do {
    const page = (await ask(`&pageSize=2${token}`)).json<Held>()
    assert.ok(page.packages.length + page.problems.length <= 2)
    assert.equal(page.tags.length, 7, 'tags are cheap: each page has all')
    seen.push(...page.packages.map(({ tag }) => tag), ...page.problems.map(({ tag }) => tag))
    token = page.nextPageToken === undefined ? '' : `&pageToken=${page.nextPageToken}`
  } while (token !== '')
  assert.deepEqual(seen.toSorted(), all.tags.toSorted())
  const wrong = await ask('&pageToken=%2E%2E')
  assert.deepEqual([wrong.statusCode, wrong.json<Problem>().code], [400, 'REQUEST_INVALID'])
})

test('of a repository with thousands of tags a page costs what its tags do, and none costs nothing more', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const repository = 'team/many'
  putPackage(registry, { repository, tag: '0' }, packageFiles({}))
  const index = registry.manifests.get(repository, '0')?.bytes ?? Buffer.alloc(0)
  for (let tag = 1; tag < 3000; tag += 1) registry.manifests.put(repository, `1.${tag}`, OCI_INDEX, index)
  const { app } = await startApp(t)
  const ask = async (pageSize: number): Promise<[Held, number]> => {
    const before = registry.requests.length
    const ref = encodeURIComponent(`oci://${registry.host}/${repository}`)
    const answer = await app.inject(`/v1/remote-packages?ref=${ref}&pageSize=${pageSize}`)
    const asked = registry.requests.slice(before).filter(({ path }) => /\/(?:manifests|blobs)\//.test(path))
    return [answer.json<Held>(), asked.length]
  }
  const [none, free] = await ask(0)
  assert.deepEqual([none.tags.length, none.packages, none.nextPageToken], [3000, [], undefined])
  assert.equal(free, 0)
  const [page, requests] = await ask(1000)
  assert.deepEqual([page.packages.length, page.packages[0]?.tag], [50, '1.2999'])
  // All of them have one index: what it is was found out once, or a few times at once.
  assert.ok(requests <= 50 + 3 * 6, `${requests}`)
  const [again, asked] = await ask(1000)
  assert.deepEqual([again.packages, asked], [page.packages, 50], 'by then a HEAD each')
})
