import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import type { AppError, ErrorCode } from '../../src/lib/errors.ts'
import { type BundleOptions, buildBundle } from '../helpers/packages/bundle-builder.ts'
import { type ArchiveEntry, writeArchive } from '../helpers/packages/package-builder.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { createTestSigner } from '../helpers/trust/signing.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const TITLE = 'org.opencontainers.image.title'
const NO_MANIFEST = Buffer.from('no manifest at all')
const WITHOUT = (title: string) => (each: string) => each === title

type Entries = NonNullable<NonNullable<BundleOptions['tamper']>['entries']>

const isBlob = ({ header }: ArchiveEntry) => header.name.startsWith('blobs/')
const named = (name: string) => (entry: ArchiveEntry) => entry.header.name === name
const largest = (entries: readonly ArchiveEntry[]) =>
  entries
    .filter(isBlob)
    .toSorted((a, b) => Buffer.byteLength(b.content as Buffer) - Buffer.byteLength(a.content as Buffer))[0]
const replaced =
  (which: (entries: readonly ArchiveEntry[]) => ArchiveEntry | undefined, change: (bytes: Buffer) => Buffer): Entries =>
  (entries) => {
    const found = which(entries)
    return entries.map((entry) => (entry === found ? { ...entry, content: change(entry.content as Buffer) } : entry))
  }
const flipped = (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte)))
const added =
  (name: string, content: string | Buffer = 'x'): Entries =>
  (entries) => [...entries, { header: { name }, content }]

const CASES: ReadonlyArray<{ name: string; options: BundleOptions; code: ErrorCode; message: RegExp }> = [
  {
    name: 'a required component is not there',
    options: { packages: [{}, { without: WITHOUT('components/layer-0001.tar') }] },
    code: 'PACKAGE_INVALID',
    message: /lacks components\/layer-0001\.tar of its package ship-1 \(sha256:/,
  },
  {
    name: 'a package has no zarf.yaml',
    options: { packages: [{ without: WITHOUT('zarf.yaml') }] },
    code: 'PACKAGE_INVALID',
    message: /lacks zarf\.yaml of its package ship-0/,
  },
  {
    name: 'SBOMs are not there',
    options: { packages: [{ files: { 'sboms.tar': 'sbom' }, without: WITHOUT('sboms.tar') }] },
    code: 'PACKAGE_INVALID',
    message: /lacks sboms\.tar of its package ship-0/,
  },
  {
    name: 'a blob has other bytes',
    options: { tamper: { entries: replaced(largest, flipped) } },
    code: 'DIGEST_MISMATCH',
    message: /other bytes for ship-0\/components\/layer-000[01]\.tar/,
  },
  {
    name: 'a blob is short',
    options: { tamper: { entries: replaced(largest, (bytes) => bytes.subarray(1)) } },
    code: 'SIZE_MISMATCH',
    message: /holds ship-0\/components\/layer-000[01]\.tar with 4095 bytes; its manifest says 4096/,
  },
  {
    name: 'it is a package at once, which its signature says nothing of',
    options: {
      tamper: {
        root: ({ layers, ...rest }) => {
          const [first, ...more] = layers as object[]
          return { ...rest, layers: [first, ...more, { ...first, annotations: { [TITLE]: 'zarf.yaml' } }] }
        },
      },
    },
    code: 'PACKAGE_INVALID',
    message: /is a bundle and a package at once: it holds zarf\.yaml, too/,
  },
  {
    name: 'index.json names two manifests',
    options: { tamper: { index: (index) => ({ ...index, manifests: [1, 2].flatMap(() => index['manifests']) }) } },
    code: 'PACKAGE_INVALID',
    message: /index\.json of .* names 2 manifests/,
  },
  {
    name: 'index.json names none',
    options: { tamper: { index: (index) => ({ ...index, manifests: [] }) } },
    code: 'PACKAGE_INVALID',
    message: /names no manifest/,
  },
  {
    name: 'index.json names what is not there',
    options: {
      tamper: {
        index: (index) => ({
          ...index,
          manifests: [{ ...(index['manifests'] as object[])[0], digest: `sha256:${'0'.repeat(64)}` }],
        }),
      },
    },
    code: 'PACKAGE_INVALID',
    message: /does not hold sha256:000/,
  },
  {
    name: 'index.json is of the next format',
    options: {
      tamper: {
        index: (index) => ({
          ...index,
          manifests: (index['manifests'] as object[]).map((entry) => ({
            ...entry,
            mediaType: 'application/vnd.oci.image.index.v1+json',
            artifactType: 'application/vnd.defenseunicorns.uds.bundle.v1',
          })),
        }),
      },
    },
    code: 'PACKAGE_FORMAT_UNSUPPORTED',
    message: /next format of uds/,
  },
  {
    name: 'there is no index.json',
    options: { tamper: { entries: (entries) => entries.filter((entry) => !named('index.json')(entry)) } },
    code: 'PACKAGE_INVALID',
    message: /does not hold index\.json/,
  },
  {
    name: 'the root manifest is an image’s',
    options: {
      tamper: {
        root: (root) => ({ ...root, config: { ...(root['config'] as object), mediaType: 'a/b' }, layers: [] }),
      },
    },
    code: 'PACKAGE_FORMAT_UNSUPPORTED',
    message: /none of a UDS bundle/,
  },
  {
    name: 'a package is pinned to what the bundle has not',
    options: {
      tamper: {
        definition: (document) => ({
          ...document,
          packages: [{ name: 'ghost', repository: 'r.example/ghost', ref: `1@sha256:${'1'.repeat(64)}` }],
        }),
      },
    },
    code: 'PACKAGE_INVALID',
    message: /pins the package ghost/,
  },
  {
    name: 'a package is not pinned',
    options: {
      tamper: { definition: (document) => ({ ...document, packages: [{ name: 'loose', path: 'x', ref: '1.0.0' }] }) },
    },
    code: 'PACKAGE_INVALID',
    message: /does not say by digest which package loose is/,
  },
  {
    name: 'what a package is pinned to is no manifest',
    options: {
      signature: NO_MANIFEST,
      tamper: {
        // It comes as a layer without a title.
        root: (root) => ({
          ...root,
          layers: (root['layers'] as { digest: string }[]).map((layer) =>
            layer.digest === digestOf(NO_MANIFEST) ? { ...layer, annotations: {} } : layer,
          ),
        }),
        definition: (document) => ({
          ...document,
          packages: [{ name: 'odd', path: 'x', ref: `1@${digestOf(NO_MANIFEST)}` }],
        }),
      },
    },
    code: 'MANIFEST_INVALID',
    message: /the manifest of the package odd of /,
  },
  {
    name: 'a package’s manifest has other bytes',
    options: {
      tamper: {
        entries: replaced(
          (entries) =>
            entries.find(({ content }) => (content as Buffer).includes('application/vnd.zarf.config.v1+json')),
          (bytes) => Buffer.from(bytes.toString().replace('"schemaVersion":2', '"schemaVersion":3')),
        ),
      },
    },
    code: 'DIGEST_MISMATCH',
    message: /holds other bytes under sha256:/,
  },
  {
    name: 'one blob has two sizes',
    options: {
      tamper: {
        root: (root) => {
          const [first, ...rest] = root['layers'] as { size: number }[]
          return { ...root, layers: [first, ...rest, { ...first, size: 7, annotations: { [TITLE]: 'odd' } }] }
        },
      },
    },
    code: 'PACKAGE_INVALID',
    message: /gives sha256:[0-9a-f]+ both \d+ and \d+ bytes/,
  },
  {
    name: 'it names the same large package again and again',
    options: {
      packages: [{ layers: 300, layerBytes: 8 }],
      tamper: {
        definition: (document) => ({
          ...document,
          packages: Array.from({ length: 200 }, () => (document['packages'] as object[])[0]),
        }),
      },
    },
    code: 'PACKAGE_TOO_LARGE',
    message: /names more than 50000 layers/,
  },
  {
    name: 'it has too many packages',
    options: {
      tamper: {
        definition: (document) => ({
          ...document,
          packages: Array.from({ length: 501 }, () => (document['packages'] as object[])[0]),
        }),
      },
    },
    code: 'PACKAGE_TOO_LARGE',
    message: /501 packages/,
  },
  {
    name: 'uds-bundle.yaml is of another kind',
    options: { tamper: { yaml: (text) => text.replace('UDSBundle', 'Deployment') } },
    code: 'PACKAGE_INVALID',
    message: /has the kind "Deployment", not UDSBundle/,
  },
  {
    name: 'uds-bundle.yaml is a bomb of aliases',
    options: {
      tamper: {
        yaml: (text) => {
          const items = (at: number) => (at === 0 ? '"x"' : `*a${at - 1},`.repeat(20))
          const rows = Array.from({ length: 9 }, (_, at) => `a${at}: &a${at} [${items(at)}]`)
          return `${rows.join('\n')}\n${text}`
        },
      },
    },
    code: 'PACKAGE_TOO_LARGE',
    message: /uds-bundle\.yaml unfolds to more than 16 MiB/,
  },
  {
    name: 'uds-bundle.yaml is no YAML',
    options: { tamper: { yaml: () => '{[' } },
    code: 'PACKAGE_INVALID',
    message: /uds-bundle\.yaml is not valid YAML/,
  },
  {
    name: 'uds-bundle.yaml is huge',
    options: { tamper: { yaml: (text) => `${text}# ${'x'.repeat(5 * MIB)}\n` } },
    code: 'PACKAGE_TOO_LARGE',
    message: /uds-bundle\.yaml has \d+ bytes/,
  },
  {
    name: 'its name is no file name',
    options: {
      tamper: {
        definition: (document) => ({ ...document, metadata: { name: '../up', version: '1', architecture: 'amd64' } }),
      },
    },
    code: 'PACKAGE_UNSAFE_PATH',
    message: /metadata\.name in uds-bundle\.yaml/,
  },
  {
    name: 'an entry leaves the archive',
    options: { tamper: { entries: added('../../etc/passwd') } },
    code: 'PACKAGE_UNSAFE_PATH',
    message: /leaves the package/,
  },
  {
    name: 'an entry is a link',
    options: {
      tamper: {
        entries: (entries) => [
          ...entries,
          { header: { name: 'blobs/sha256/x', type: 'symlink', linkname: '/etc/passwd' } },
        ],
      },
    },
    code: 'PACKAGE_UNSAFE_PATH',
    message: /is a symbolic link/,
  },
  {
    name: 'an entry is there twice',
    options: { tamper: { entries: (entries) => [...entries, ...entries.slice(-1)] } },
    code: 'PACKAGE_INVALID',
    message: /twice/,
  },
  {
    name: 'an entry is no part of a bundle',
    options: { tamper: { entries: added('README.md') } },
    code: 'PACKAGE_INVALID',
    message: /holds README\.md, which no bundle of uds does/,
  },
  {
    name: 'index.json is huge',
    options: {
      tamper: {
        entries: (entries) => [{ header: { name: 'index.json' }, content: { bytes: 2 * MIB } }, ...entries.slice(2)],
      },
    },
    code: 'PACKAGE_TOO_LARGE',
    message: /index\.json has 2097152 bytes/,
  },
]

describe('a bundle that is wrong', () => {
  for (const format of ['tar.zst', 'tar'] as const) {
    for (const { name, options, code, message } of CASES) {
      test(`${name}: refused from a .${format}, and nothing is tagged`, async (t) => {
        const registry = await startMemoryRegistry()
        t.after(() => registry.close())
        const folder = await tempDir(t, 'bundle')
        const bundle = await buildBundle(folder, { ...options, fileName: `uds-bundle-convoy-amd64-1.0.0.${format}` })
        await assert.rejects(
          publishTo(t, bundle.path, parseDestination(`${registry.host}/team`)),
          (error: AppError) => {
            assert.equal(error.code, code, error.message)
            assert.match(error.message, message)
            return true
          },
        )
        assert.equal(registry.manifests.get('team/convoy', '1.0.0'), undefined)
      })
    }
  }

  test('a few blobs that belong to nothing are passed over, and a bomb of them is not', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const folder = await tempDir(t, 'bundle')
    const extra =
      (bytes: number): Entries =>
      (entries) => [
        ...entries,
        { header: { name: `blobs/sha256/${'a'.repeat(64)}` }, content: { bytes, compressible: 1 } },
      ]
    const few = await buildBundle(folder, { name: 'few', tamper: { entries: extra(1000) } })
    const bomb = await buildBundle(folder, { name: 'bomb', tamper: { entries: extra(20 * MIB) } })
    const destination = parseDestination(`${registry.host}/team`)
    assert.equal((await publishTo(t, few.path, destination)).outcome.digest, few.digest)
    assert.equal(registry.blob('team/few', `sha256:${'a'.repeat(64)}`), undefined)
    await assert.rejects(publishTo(t, bomb.path, destination), {
      code: 'PACKAGE_INVALID',
      message: /belong to nothing/,
    })
  })

  test('a package under the name of a bundle is told, and so is the reverse', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const folder = await tempDir(t, 'bundle')
    const asBundle = join(folder, 'uds-bundle-x-amd64-1.tar.zst')
    await writeArchive(asBundle, [
      { header: { name: 'checksums.txt' }, content: '\n' },
      { header: { name: 'zarf.yaml' }, content: 'kind: x' },
    ])
    const destination = parseDestination(`${registry.host}/team`)
    await assert.rejects(publishTo(t, asBundle, destination), {
      code: 'PACKAGE_INVALID',
      message: /checksums\.txt, which no bundle/,
    })
    for (const fileName of ['zarf-package-x-amd64-1.tar.zst', 'zarf-package-x-amd64-1.tar']) {
      const { path } = await buildBundle(folder, { fileName })
      await assert.rejects(publishTo(t, path, destination), {
        code: 'PACKAGE_INVALID',
        message: /OCI layout, such as a UDS bundle/,
      })
    }
  })

  test('it keeps its own manifest, and is not signed here', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const { path } = await buildBundle(await tempDir(t, 'bundle'))
    const destination = parseDestination(`${registry.host}/team`)
    for (const options of [{ manifest: 'auto' }, { artifactType: 'a/b' }, { subject: digestOf('x') }] as const) {
      await assert.rejects(publishTo(t, path, destination, options), { code: 'BODY_INVALID' })
    }
    await assert.rejects(publishTo(t, path, destination, { sign: createTestSigner() }), {
      code: 'PACKAGE_NOT_SIGNABLE',
    })
  })
})
