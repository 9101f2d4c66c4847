import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_MANIFEST } from '../../src/content/media-types.ts'
import { AppError } from '../../src/lib/errors.ts'
import { createContentStore } from '../../src/store/content-store.ts'
import { ownArchitecture } from '../../src/transfer/resolve.ts'
import { defer } from '../helpers/cleanup.ts'
import { pullFrom, putIndex, putPackage } from '../helpers/packages/pulling.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { openTarget } from '../../src/files/opened-target.ts'
import { MIB, PLACE, bed, failsWith } from '../helpers/packages/pull-bed.ts'

const OWN = ownArchitecture()

describe('a connection that breaks', () => {
  for (const ranges of [true, false]) {
    test(`in the middle of a layer goes on, ${ranges ? 'by Range' : 'where Range is ignored too'}`, async (t) => {
      const { registry, reference, big, layers } = await bed(t, { ranges })
      putPackage(registry, PLACE, layers)
      registry.fail({ method: 'GET', path: new RegExp(digestOf(big)) }, { kind: 'cut-response', afterBytes: 2 * MIB })
      const { outcome, store, events } = await pullFrom(t, reference)
      assert.equal((await store.packages.get(outcome.digest))?.complete, true)
      const ofBig = events.filter((event) => 'digest' in event && event.digest === digestOf(big))
      const retrying = ofBig.findIndex((event) => event.type === 'retrying')
      assert.ok(retrying >= 0)
      const goesOn = ofBig.slice(retrying).find((event) => event.type === 'started')
      assert.ok(goesOn && goesOn.offset > 0, 'it no longer waits')
      const gets = registry.requests.filter(({ method, path }) => method === 'GET' && path.endsWith(digestOf(big)))
      assert.equal(gets.length, 2)
      assert.match(gets[1]?.headers.range ?? '', /^bytes=\d+-$/)
    })
  }

  test('for good keeps what has arrived, and the next run goes on there', async (t) => {
    const { registry, reference, big, layers } = await bed(t)
    putPackage(registry, PLACE, layers)
    const path = new RegExp(digestOf(big))
    registry.fail({ method: 'GET', path }, { kind: 'cut-response', afterBytes: 2 * MIB })
    registry.fail({ method: 'GET', path, nth: 2, times: 4 }, { kind: 'answer', status: 503 })
    const folder = await tempDir(t, 'store')
    const store = await createContentStore({ folder })
    await assert.rejects(pullFrom(t, reference, { store }), { retry: 'transient' })
    const [name = ''] = await readdir(join(folder, 'ingest'))
    const partial = await stat(join(folder, 'ingest', name))
    assert.ok(partial.size > 0)
    const again = registry.requests.length
    await pullFrom(t, reference, { store })
    assert.equal((await store.check({ signal: new AbortController().signal })).findings.length, 0)
    const resumed = registry.requests.slice(again).filter(({ path }) => path.endsWith(digestOf(big)))
    assert.deepEqual(
      resumed.map(({ headers }) => headers.range),
      [`bytes=${partial.size}-`],
    )
  })

  test('a 416 to a Range costs the layer from its start, once', async (t) => {
    const { registry, reference, big, layers } = await bed(t)
    putPackage(registry, PLACE, layers)
    const path = new RegExp(digestOf(big))
    registry.fail({ method: 'GET', path }, { kind: 'cut-response', afterBytes: 2 * MIB })
    registry.fail({ method: 'GET', path, nth: 2 }, { kind: 'answer', status: 416 })
    const { outcome, store } = await pullFrom(t, reference)
    assert.equal((await store.packages.get(outcome.digest))?.complete, true)
  })
})

describe('room', () => {
  test('that a package does not have in the store fails the pull before its layers move', async (t) => {
    const { registry, reference, big, layers } = await bed(t)
    putPackage(registry, PLACE, layers)
    const store = await createContentStore({ folder: await tempDir(t, 'store'), maxBytes: MIB })
    await assert.rejects(pullFrom(t, reference, { store }), failsWith('STORE_FULL', /of its 1048576 left/))
    assert.ok(!registry.requests.some(({ path }) => path.endsWith(digestOf(big))))
  })

  test('that the archive does not have in its folder fails the pull before its layers move', async (t) => {
    const { registry, reference, layers } = await bed(t)
    putPackage(registry, PLACE, layers)
    const folder = await tempDir(t, 'small')
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' })
    } catch {
      t.skip('a small file system cannot be mounted here')
      return
    }
    defer(t, () => void execFileSync('umount', [folder]))
    await assert.rejects(
      pullFrom(t, reference, { target: openTarget({ path: folder, roots: [folder] }) }),
      failsWith('STORE_FULL', /needs \d+ bytes; its disk has \d+ free/),
    )
    assert.deepEqual(await readdir(folder), [])
  })
})

describe('choosing the package under a reference', () => {
  test('an architecture that is not there is answered with those that are', async (t) => {
    const { registry, reference, layers } = await bed(t)
    putPackage(registry, PLACE, layers)
    await assert.rejects(
      pullFrom(t, reference, { architecture: 'riscv64' }),
      failsWith('ARCHITECTURE_NOT_FOUND', /nothing for riscv64: it has amd64/),
    )
  })

  test('without one asked for, it is the only one there is, whatever this machine is', async (t) => {
    const { registry, reference, layers } = await bed(t)
    const digest = putPackage(registry, PLACE, layers)
    const size = registry.manifests.get(PLACE.repository, digest)?.bytes.length ?? 0
    putIndex(registry, PLACE, [
      { digest, size, architecture: 'skeleton' },
      { digest, size, architecture: 'mips' },
      { digest, size, architecture: OWN, os: 'linux' },
    ])
    assert.equal((await pullFrom(t, reference)).outcome.digest, digest)
    putIndex(registry, PLACE, [{ digest, size, architecture: 'skeleton' }])
    await assert.rejects(pullFrom(t, reference), failsWith('ARCHITECTURE_NOT_FOUND', /it has skeleton/))
    putIndex(registry, PLACE, [
      { digest, size, architecture: 'mips' },
      { digest, size, architecture: 'sparc' },
    ])
    await assert.rejects(pullFrom(t, reference), failsWith('ARCHITECTURE_NOT_FOUND', /it has mips, sparc/))
  })

  test('an entry whose manifest is gone hurts only itself', async (t) => {
    const { registry, reference, layers } = await bed(t)
    const digest = putPackage(registry, PLACE, layers)
    const size = registry.manifests.get(PLACE.repository, digest)?.bytes.length ?? 0
    putIndex(registry, PLACE, [
      { digest: digestOf('gone'), size: 4, architecture: 'arm64' },
      { digest, size, architecture: 'amd64' },
    ])
    assert.equal((await pullFrom(t, reference, { architecture: 'amd64' })).outcome.digest, digest)
    await assert.rejects(
      pullFrom(t, reference, { architecture: 'arm64' }),
      failsWith('MANIFEST_NOT_FOUND', /arm64, and that is gone/),
    )
  })

  test('a manifest by digest, and one directly under a tag, are taken as they are', async (t) => {
    const { registry, layers } = await bed(t)
    const digest = putPackage(registry, PLACE, layers)
    const place = `${registry.host}/${PLACE.repository}`
    const byDigest = await pullFrom(t, `${place}@${digest}`)
    assert.equal(byDigest.outcome.reference, `oci://${place}@${digest}`)
    assert.equal((await pullFrom(t, `${place}:9.9.9@${digest}`)).outcome.reference, `oci://${place}:9.9.9`)
    const bytes = registry.manifests.get(PLACE.repository, digest)?.bytes ?? Buffer.alloc(0)
    registry.manifests.put(PLACE.repository, 'bare', OCI_MANIFEST, bytes)
    assert.equal((await pullFrom(t, `${place}:bare`)).outcome.digest, digest)
    await assert.rejects(
      pullFrom(t, `${place}:bare`, { architecture: 'arm64' }),
      failsWith('ARCHITECTURE_NOT_FOUND', /it has amd64/),
    )
  })

  test('a tag that is not there, and a reference without one, say so', async (t) => {
    const { registry } = await bed(t)
    await assert.rejects(
      pullFrom(t, `${registry.host}/team/sample:2.0.0`),
      failsWith('MANIFEST_NOT_FOUND', /sample:2\.0\.0/),
    )
    await assert.rejects(pullFrom(t, `${registry.host}/team/sample`), failsWith('REFERENCE_INVALID', /neither a tag/))
  })
})

test('a canceled pull stops, leaves nothing visible, and its next run goes on', async (t) => {
  const { registry, reference, big, layers } = await bed(t)
  putPackage(registry, PLACE, layers)
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder })
  const controller = new AbortController()
  const gate = Promise.withResolvers<void>()
  registry.fail({ method: 'GET', path: new RegExp(digestOf(big)) }, { kind: 'hold', until: gate.promise })
  const canceled = pullFrom(t, reference, {
    store,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'started' && event.digest === digestOf(big))
        controller.abort(new AppError('JOB_CANCELED', 'stop'))
    },
  })
  await assert.rejects(canceled, { code: 'JOB_CANCELED' })
  gate.resolve()
  assert.deepEqual([await store.packages.list(), await readdir(join(folder, 'leases'))], [[], []])
  const { outcome } = await pullFrom(t, reference, { store })
  assert.equal((await store.packages.get(outcome.digest))?.complete, true)
})
