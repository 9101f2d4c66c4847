import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Descriptor, descriptorTitle } from '../../../src/content/descriptor.ts'
import { digestHex, digestOf } from '../../../src/content/digest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import type { AppError } from '../../../src/lib/errors.ts'
import type { DefinitionOutline } from '../../../src/zarf/package.ts'
import { chooseFiles, type PackageChoice } from '../../../src/zarf/select.ts'
import { selectImages } from '../../../src/zarf/selection/images.ts'
import { blobOf } from '../../helpers/packages/store-packages.ts'

const DIGEST = `sha256:${'d'.repeat(64)}`
const IMAGES = [
  'nginx:1.25',
  'docker.io/library/redis:7',
  'grafana/loki:2',
  'ghcr.io/team/app:1.0',
  'ghcr.io/team/app-debug:1.0',
  `ghcr.io/team/pinned:3@${DIGEST}`,
]

/** What is asked for, and which of the images that means. */
const CHOICES: ReadonlyArray<[string[], number[]]> = [
  [[], []],
  [['nginx:1.25'], [0]],
  [['docker.io/library/nginx:1.25'], [0]],
  [['docker.io/nginx:1.25'], [0]],
  [['index.docker.io/library/nginx:1.25'], [0]],
  [['redis:7'], [1]],
  [['nginx:*'], [0]],
  [['*:7'], [1]],
  [['grafana/*'], [2]],
  [['docker.io/grafana/loki:?'], [2]],
  [['oci://ghcr.io/team/app:1.0'], [3]],
  [['ghcr.io/team/app*'], [3, 4]],
  [['ghcr.io/team/app*', '-*/*/*-debug:*'], [3]],
  [['ghcr.io/team/pinned:3'], [5]],
  [[`ghcr.io/team/pinned:3@${DIGEST}`], [5]],
  [['-ghcr.io/team/*'], [0, 1, 2]],
  [['-redis:7', '-nginx:1.25', '-grafana/loki:2', '-ghcr.io/team/app*'], [5]],
]

for (const [requested, expected] of CHOICES) {
  test(`images [${requested.join(', ')}] mean ${expected.length} of those there are`, async () => {
    assert.deepEqual(
      await selectImages(IMAGES, requested),
      expected.map((at) => IMAGES[at]),
    )
  })
}

const REFUSED: ReadonlyArray<[string[], RegExp]> = [
  [['nginx'], /no image matches "nginx"/],
  [['nginx:1.26'], /no image matches "nginx:1.26"/],
  [['redis:7', '-nope:1'], /no image matches "-nope:1"/],
  // A star passes no slash.
  [['ghcr.io/*'], /no image matches "ghcr.io\/\*"/],
  [['['], /"\[" is not a pattern/],
  [['a'.repeat(513)], /has 513 characters/],
  [Array.from({ length: 101 }, () => 'nginx:1.25'), /101 names or patterns of images/],
]

for (const [requested, says] of REFUSED) {
  test(`images [${requested.join(', ').slice(0, 60)}] are refused`, async () => {
    await assert.rejects(
      selectImages(IMAGES, requested),
      (error: AppError) => error.code === 'IMAGES_INVALID' && says.test(error.message) && error.hint !== undefined,
    )
  })
}

test('a refusal lists the images there are, or that there are none', async () => {
  await assert.rejects(selectImages(IMAGES, ['nope:1']), (error: AppError) => {
    assert.match(error.hint ?? '', /^Choose from: nginx:1\.25, docker\.io\/library\/redis:7, /)
    assert.deepEqual(error.details?.['images'], IMAGES)
    return true
  })
  await assert.rejects(selectImages([], ['nope:1']), { hint: 'There are no images to choose from.' })
})

test('patterns that would take long with so many images are refused, and choosing lets the event loop go on', async () => {
  const many = Array.from({ length: 30_000 }, (_, at) => `ghcr.io/team/${'a'.repeat(80)}${at}:1`)
  await assert.rejects(
    selectImages(
      many,
      Array.from({ length: 100 }, () => `*${'a*'.repeat(60)}b`),
    ),
    {
      code: 'IMAGES_INVALID',
      message: /too many for 30000 images/,
    },
  )
  let turns = 0
  const timer = setInterval(() => (turns += 1), 0)
  await assert.rejects(selectImages(many, ['ghcr.io/*/*b:1']), /no image matches/)
  clearInterval(timer)
  assert.ok(turns > 0)
})

describe('of a package', () => {
  const { definition, source, titles } = samplePackage()
  const chosen = async (choice: PackageChoice) => {
    const { layers, ...names } = await chooseFiles(definition, choice, source)
    return { titles: layers.map((layer) => descriptorTitle(layer) ?? ''), ...names }
  }
  const METADATA = ['zarf.yaml', 'checksums.txt', 'zarf.bundle.sig', 'values.yaml', 'values.schema.json']
  const same = (found: readonly string[], expected: readonly string[]) =>
    assert.deepEqual(found.toSorted(), expected.toSorted())

  test('no choice means all of it, unknown files too', async () => {
    const all = await chosen({})
    same(all.titles, titles.all)
    assert.deepEqual(all.components, ['base', 'extra', 'bare'])
    assert.deepEqual(all.images, ['nginx:1', 'redis:7', 'ghcr.io/team/many:1'])
  })

  test('components bring their files, images, SBOMs and documentation, and have no file where none was packed', async () => {
    const some = await chosen({ components: ['bare'] })
    same(some.titles, [
      ...METADATA,
      'sboms.tar',
      'documentation.tar',
      'components/base.tar',
      'images/index.json',
      'images/oci-layout',
      ...titles.nginx,
      ...titles.redis,
    ])
    assert.deepEqual(
      [some.components, some.images],
      [
        ['base', 'bare'],
        ['nginx:1', 'redis:7'],
      ],
    )
  })

  test('an image of an index brings all that the index names', async () => {
    const { titles: found } = await chosen({ components: ['extra'] })
    assert.ok(titles.many.length === 7 && titles.many.every((title) => found.includes(title)))
  })

  test('images alone bring what reads the package, and no component', async () => {
    const some = await chosen({ images: ['redis:7'] })
    same(some.titles, [...METADATA, 'images/index.json', 'images/oci-layout', ...titles.redis])
    assert.deepEqual([some.components, some.images], [[], ['redis:7']])
  })

  test('images of components are those of theirs that are named, and an empty list none', async () => {
    const some = await chosen({ components: ['extra'], images: ['-ghcr.io/team/*', '-nginx:1'] })
    assert.deepEqual([some.components, some.images], [['base', 'extra'], ['redis:7']])
    assert.ok(!some.titles.some((title) => titles.many.includes(title)))
    const none = await chosen({ components: ['extra'], images: [] })
    same(none.titles, [...METADATA, 'sboms.tar', 'documentation.tar', 'components/base.tar', 'components/extra.tar'])
    await assert.rejects(chosen({ components: [], images: ['ghcr.io/team/many:1'] }), { code: 'IMAGES_INVALID' })
  })

  test('metadata alone is what describes it and vouches for it', async () => {
    const some = await chosen({ metadataOnly: true })
    same(some.titles, METADATA)
    assert.deepEqual([some.components, some.images], [[], []])
  })
})

/** A package with everything that zarf packs: zarf-packages.md 3.2. */
function samplePackage() {
  const files = new Map<string, Buffer>()
  const add = (title: string, text: string): Descriptor => {
    const bytes = Buffer.from(text)
    files.set(title, bytes)
    return blobOf(bytes, title)
  }
  const blob = (text: string, mediaType: string, more: object = {}) => {
    const digest = digestOf(Buffer.from(text))
    const title = `images/blobs/sha256/${digestHex(digest)}`
    add(title, text)
    return { title, descriptor: { mediaType, digest, size: Buffer.byteLength(text), ...more } }
  }
  const image = (name: string, more: object = {}) => {
    const parts = ['config', 'layer'].map((part) => blob(`${name} ${part}`, `application/vnd.test.${part}`))
    const [config, layer] = parts.map(({ descriptor }) => descriptor)
    const text = JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] })
    const manifest = blob(text, OCI_MANIFEST, more)
    return { manifest, titles: [manifest.title, ...parts.map(({ title }) => title)] }
  }
  const called = (name: string) => ({ annotations: { 'org.opencontainers.image.base.name': name } })
  const nginx = image('nginx', called('docker.io/library/nginx:1'))
  // As old versions of zarf wrote it.
  const redis = image('redis', called('library/redis:7'))
  const [amd64, arm64] = [image('many amd64'), image('many arm64')]
  const children = [amd64, arm64].map(({ manifest }) => manifest.descriptor)
  const index = blob(
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: children }),
    OCI_INDEX,
    called('ghcr.io/team/many:1'),
  )
  const manifests = [nginx.manifest, redis.manifest, index].map(({ descriptor }) => descriptor)
  add('images/index.json', JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  for (const title of ['images/oci-layout', 'zarf.yaml', 'checksums.txt', 'zarf.bundle.sig', 'values.yaml'])
    add(title, title)
  for (const title of ['values.schema.json', 'sboms.tar', 'documentation.tar', 'unknown.bin']) add(title, title)
  for (const name of ['base', 'extra']) add(`components/${name}.tar`, name)
  const definition: DefinitionOutline = {
    components: [
      {
        name: 'base',
        required: true,
        images: ['nginx:1'],
        imageArchives: [{ path: 'redis.tar', images: ['redis:7'] }],
      },
      { name: 'extra', images: ['ghcr.io/team/many:1', 'nginx:1'] },
      { name: 'bare' },
    ],
    documentation: new Map([['readme', 'README.md']]),
  }
  const byTitle = new Map([...files].map(([title, bytes]) => [title, blobOf(bytes, title)]))
  return {
    definition,
    source: { byTitle, read: async (layer: Descriptor) => files.get(descriptorTitle(layer) ?? '') as Buffer },
    titles: {
      all: [...files.keys()],
      nginx: nginx.titles,
      redis: redis.titles,
      many: [index.title, ...amd64.titles, ...arm64.titles],
    },
  }
}
