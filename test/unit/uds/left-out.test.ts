import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestOf, type Digest } from '../../../src/content/digest.ts'
import { rawManifest } from '../../../src/content/manifest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import type { AppError } from '../../../src/lib/errors.ts'
import { readBundle } from '../../../src/uds/contents/bundle.ts'
import { checkLeftOut } from '../../../src/uds/contents/left-out.ts'
import { type BundledOptions, buildBundle } from '../../helpers/packages/bundle-builder.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const { signal } = new AbortController()
const BASE = 'org.opencontainers.image.base.name'

/** An image as a package has it: its manifest and blobs by title, and its entry in images/index.json. */
function image(name: string) {
  const config = Buffer.from(`{"config":"${name}"}`)
  const layer = Buffer.from(`layer of ${name}`)
  const of = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: of('a/config', config),
      layers: [of('a/layer', layer)],
    }),
  )
  const title = (bytes: Buffer) => `images/blobs/${digestOf(bytes).replace(':', '/')}`
  return {
    titles: [config, layer, manifest].map(title),
    files: Object.fromEntries([config, layer, manifest].map((bytes) => [title(bytes), bytes])),
    entry: { ...of(OCI_MANIFEST, manifest), annotations: { [BASE]: `docker.io/library/${name}:1` } },
  }
}

const [FIRST, SECOND] = [image('one'), image('two')]
const FILES = {
  ...FIRST.files,
  ...SECOND.files,
  'images/index.json': JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [FIRST.entry, SECOND.entry],
  }),
  'images/oci-layout': '{"imageLayoutVersion":"1.0.0"}',
  'values.yaml': 'a: 1\n',
  'documentation.tar': 'doc',
  'sboms.tar': 'sbom',
  'later.bin': 'what a later zarf writes',
}

/** Component 0 is required and has the image one, 1 is optional with the image two, 2 is a default one without images. */
const definition = (text: string): string => {
  const components = [
    '  - name: layer-0000\n    required: true\n    images: [one:1]',
    '  - name: layer-0001\n    images: [two:1]',
    '  - name: layer-0002\n    default: true',
  ]
  return text.replace(/components:[^]*$/, `components:\n${components.join('\n')}\n`)
}

/** Checks a bundle of that one package with these titles absent. */
async function check(
  t: Parameters<typeof tempDir>[0],
  absent: readonly string[],
  entry: BundledOptions['entry'] = {},
): Promise<void> {
  const one = { layers: 3, files: FILES, tamper: { definition }, entry }
  const { root, blobs, titles } = await buildBundle(await tempDir(t, 'bundle'), { packages: [one] })
  const gone = new Set(absent.map((title) => (titles.get(`ship-0/${title}`) ?? assert.fail(title)) as Digest))
  const read = async ({ digest }: Descriptor) => {
    assert.ok(!gone.has(digest), 'what is absent is not read')
    return blobs.get(digest) ?? assert.fail(digest)
  }
  const where = 'the bundle'
  const bundle = await readBundle(rawManifest(OCI_MANIFEST, root), { read, where, signal })
  await checkLeftOut(bundle, gone, { read, where, signal })
}

const TAR = (at: number) => `components/layer-000${at}.tar`

describe('what a bundle may leave out', () => {
  for (const [name, absent, entry] of [
    ['nothing', []],
    ['an optional component with its image', [TAR(1), ...SECOND.titles]],
    ['of a registry’s package a default component too', [TAR(1), TAR(2), ...SECOND.titles]],
    ['files that an older uds did not know, and that nobody does', ['values.yaml', 'documentation.tar', 'later.bin']],
    ['of a file’s package what zarf would not deploy', [TAR(1), ...SECOND.titles], { path: 'x.tar.zst' }],
    [
      'of a file’s package a default component that is taken away',
      [TAR(2)],
      { path: 'x', optionalComponents: ['-layer-0002'] },
    ],
  ] as ReadonlyArray<[string, string[], BundledOptions['entry']?]>) {
    test(name, async (t) => await check(t, absent, entry))
  }

  for (const [name, absent, entry, lacks] of [
    ['a required component', [TAR(0)], {}, TAR(0)],
    ['one that optionalComponents names', [TAR(1)], { optionalComponents: ['layer-0001'] }, TAR(1)],
    ['a default one of a package from a file', [TAR(2)], { path: 'x.tar.zst' }, TAR(2)],
    ['an image’s manifest', [FIRST.titles[2] ?? ''], {}, FIRST.titles[2]],
    ['an image’s layer', [FIRST.titles[1] ?? ''], {}, FIRST.titles[1]],
    [
      'the image of a component that is named',
      [SECOND.titles[0] ?? ''],
      { optionalComponents: ['layer-0001'] },
      SECOND.titles[0],
    ],
    ['the index of images', ['images/index.json'], {}, 'images/index.json'],
    ['zarf.yaml', ['zarf.yaml'], {}, 'zarf.yaml'],
    ['checksums.txt', ['checksums.txt'], {}, 'checksums.txt'],
    ['SBOMs', ['sboms.tar'], {}, 'sboms.tar'],
  ] as ReadonlyArray<[string, string[], BundledOptions['entry'], string]>) {
    test(`but not ${name}`, async (t) => {
      await assert.rejects(check(t, absent, entry), (error: AppError) => {
        assert.equal(error.code, 'PACKAGE_INVALID')
        assert.ok(error.message.startsWith(`the bundle lacks ${lacks} of its package ship-0`), error.message)
        assert.deepEqual([error.details?.['package'], error.details?.['path']], ['ship-0', lacks])
        return true
      })
    })
  }

  test('optionalComponents that zarf would not take are told by their package', async (t) => {
    const entry = { path: 'x.tar.zst', optionalComponents: ['nowhere'] }
    await assert.rejects(check(t, [TAR(1)], entry), {
      message: /optionalComponents of the package ship-0: no component matches/,
    })
  })
})
