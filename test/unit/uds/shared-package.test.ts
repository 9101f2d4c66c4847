import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { rawManifest } from '../../../src/content/manifest.ts'
import { OCI_MANIFEST } from '../../../src/content/media-types.ts'
import { readBundle } from '../../../src/uds/contents/bundle.ts'
import { buildBundle } from '../../helpers/packages/bundle-builder.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

test('a manifest that many packages of a bundle are pinned to is read and held once', async (t) => {
  const definition = ({ packages, ...rest }: Record<string, unknown>) => {
    const [entry] = packages as Record<string, unknown>[]
    return { ...rest, packages: Array.from({ length: 500 }, (_, at) => ({ ...entry, name: `ship-${at}` })) }
  }
  const { root, blobs } = await buildBundle(await tempDir(t, 'bundle'), { tamper: { definition } })
  let reads = 0
  const read = async ({ digest }: Descriptor) => {
    reads += 1
    return blobs.get(digest) ?? assert.fail(digest)
  }
  const { signal } = new AbortController()
  const { packages } = await readBundle(rawManifest(OCI_MANIFEST, root), { read, where: 'the bundle', signal })
  assert.deepEqual([packages.length, new Set(packages.map(({ layers }) => layers)).size], [500, 1])
  // uds-bundle.yaml, the manifest, the config.
  assert.equal(reads, 3)
})
