import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { createContentStore } from '../../src/store/content-store.ts'
import { pullFrom, putIndex, putPackage, type SyntheticLayer } from '../helpers/packages/pulling.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { MIB, PLACE, bed, failsWith } from '../helpers/packages/pull-bed.ts'

describe('a layer that is not what the manifest says', () => {
  const wrong: Record<string, [(bytes: Buffer) => Buffer, string]> = {
    'too long': [(bytes) => Buffer.concat([bytes, Buffer.from('!')]), 'SIZE_MISMATCH'],
    'too short': [(bytes) => bytes.subarray(0, 2 * MIB), 'SIZE_MISMATCH'],
    another: [(bytes) => Buffer.from(bytes).fill(1, 500, 600), 'DIGEST_MISMATCH'],
  }
  for (const [what, [spoil, code]] of Object.entries(wrong)) {
    test(`${what} fails the pull, and nothing of the package shows`, async (t) => {
      const { registry, reference, big, layers } = await bed(t)
      putPackage(registry, PLACE, layers)
      registry.putBlob(PLACE.repository, spoil(big), digestOf(big))
      const folder = await tempDir(t, 'store')
      const store = await createContentStore({ folder })
      await assert.rejects(pullFrom(t, reference, { store }), (error: AppError) => {
        assert.equal(error.code, code)
        assert.ok(`${error.message} ${JSON.stringify(error.details)}`.includes(digestOf(big)), error.message)
        return true
      })
      assert.deepEqual(await store.packages.list(), [])
      assert.deepEqual(await readdir(join(folder, 'ingest')), [])
      assert.deepEqual(await readdir(join(folder, 'leases')), [])
    })
  }

  test('other bytes name the layer by its title', async (t) => {
    const { registry, reference, big, layers } = await bed(t)
    putPackage(registry, PLACE, layers)
    registry.putBlob(PLACE.repository, Buffer.alloc(big.length), digestOf(big))
    await assert.rejects(pullFrom(t, reference), failsWith('DIGEST_MISMATCH', /components\/one\.tar/))
  })
})

describe('a manifest that cannot be trusted', () => {
  const dots = { title: '../../etc/cron.d/job', bytes: Buffer.from('x') }
  const cases: Record<string, { change: (layers: SyntheticLayer[]) => SyntheticLayer[]; code: string; says: RegExp }> =
    {
      'a title that leaves the package': {
        change: (layers) => [...layers, dots],
        code: 'PACKAGE_UNSAFE_PATH',
        says: /\.\.\/\.\.\/etc/,
      },
      'an absolute title': {
        change: (layers) => [...layers, { ...dots, title: '/etc/passwd' }],
        code: 'PACKAGE_UNSAFE_PATH',
        says: /\/etc\/passwd/,
      },
      'a title twice': {
        change: (layers) => [...layers, { title: 'values.yaml', bytes: Buffer.from('other') }],
        code: 'PACKAGE_INVALID',
        says: /values\.yaml twice/,
      },
      'a title with ./ in front': {
        change: (layers) => [...layers, { ...dots, title: './values.yaml' }],
        code: 'PACKAGE_INVALID',
        says: /\.\/values\.yaml/,
      },
      'a file too many': {
        change: (layers) => [...layers, { ...dots, title: 'extra.txt' }],
        code: 'PACKAGE_INVALID',
        says: /extra\.txt/,
      },
      'a file too few': {
        change: (layers) => layers.filter(({ title }) => title !== 'values.yaml'),
        code: 'PACKAGE_INVALID',
        says: /values\.yaml/,
      },
      'another file under a listed name': {
        change: (layers) =>
          layers.map((layer) => (layer.title === 'values.yaml' ? { ...layer, bytes: Buffer.from('b') } : layer)),
        code: 'PACKAGE_CHECKSUM_MISMATCH',
        says: /values\.yaml/,
      },
      'a checksums.txt that zarf.yaml does not vouch for': {
        change: (layers) =>
          layers.map((layer) => (layer.title === 'checksums.txt' ? { ...layer, bytes: Buffer.from('\n') } : layer)),
        code: 'PACKAGE_CHECKSUM_MISMATCH',
        says: /checksums\.txt/,
      },
      'no zarf.yaml': {
        change: (layers) => layers.filter(({ title }) => title !== 'zarf.yaml'),
        code: 'PACKAGE_FORMAT_UNSUPPORTED',
        says: /zarf\.yaml/,
      },
      'a zarf.yaml too large to read': {
        change: (layers) =>
          layers.map((layer) => (layer.title === 'zarf.yaml' ? { ...layer, lie: { size: 2 ** 30 } } : layer)),
        code: 'PACKAGE_TOO_LARGE',
        says: /zarf\.yaml/,
      },
      'one digest with two sizes': {
        change: (layers) => [...layers, { title: 'copy.yaml', bytes: Buffer.from('a: 1\n'), lie: { size: 99 } }],
        code: 'PACKAGE_INVALID',
        says: /copy\.yaml both 5 and 99 bytes/,
      },
    }
  for (const [what, { change, code, says }] of Object.entries(cases)) {
    test(`${what} is refused before any layer moves`, async (t) => {
      const { registry, reference, big, layers } = await bed(t)
      putPackage(registry, PLACE, change(layers))
      await assert.rejects(pullFrom(t, reference), failsWith(code, says))
      assert.ok(!registry.requests.some(({ path }) => path.endsWith(digestOf(big))))
    })
  }

  test('a layer whose size is a lie fails by its digest', async (t) => {
    const { registry, reference, layers } = await bed(t)
    putPackage(
      registry,
      PLACE,
      layers.map((layer) => (layer.title === 'components/one.tar' ? { ...layer, lie: { size: 10 } } : layer)),
    )
    await assert.rejects(pullFrom(t, reference), { code: 'SIZE_MISMATCH' })
  })

  test('an index that lies about the manifest’s size is refused', async (t) => {
    const { registry, reference, layers } = await bed(t)
    const digest = putPackage(registry, PLACE, layers)
    putIndex(registry, PLACE, [{ digest, size: 7, architecture: 'amd64' }])
    await assert.rejects(pullFrom(t, reference, { architecture: 'amd64' }), failsWith('SIZE_MISMATCH', /says 7/))
  })
})
