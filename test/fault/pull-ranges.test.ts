import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { digestOf } from '../../src/content/digest.ts'
import type { Range } from '../../src/content/ranges.ts'
import { createContentStore } from '../../src/store/content-store.ts'
import type { RangeTuning } from '../../src/store/ingest/range-growth.ts'
import { writtenRanges } from '../../src/store/ingest/range-journal.ts'
import { rangeBytes } from '../../src/store/ingest/range-plan.ts'
import type { EngineEvent } from '../../src/transfer/events.ts'
import { type Cleanup, defer } from '../helpers/cleanup.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startProcess } from '../helpers/processes/processes.ts'
import { packageFiles, pullFrom, putPackage } from '../helpers/packages/pulling.ts'
import { SMALL_RANGES } from '../helpers/packages/range-tuning.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const PLACE = { repository: 'team/sample', tag: '1.0.0' }
const CHILD = fileURLToPath(new URL('../helpers/packages/pull-child.ts', import.meta.url))
const { signal } = new AbortController()
/** What is on its way when a stream is ended early. */
const SLACK = 4 * MIB

async function bed(t: Cleanup, bytes: number, options: { ranges?: boolean; tuning?: Partial<RangeTuning> } = {}) {
  const registry = await startMemoryRegistry({ ranges: options.ranges ?? true })
  defer(t, () => registry.close())
  const big = randomBytes(bytes)
  putPackage(registry, PLACE, packageFiles({ 'components/one.tar': big }))
  const link = await startFaultProxy(t, registry.host, { bytesPerSecond: 4 * MIB })
  const folder = await tempDir(t, 'store')
  const store = await createContentStore({ folder, ranges: { ...SMALL_RANGES, ...options.tuning } })
  return { registry, link, big, folder, store, reference: `${link.host}/${PLACE.repository}:${PLACE.tag}` }
}

/** What was asked for of a layer, in order; undefined stands for all of it. */
function asked(registry: MemoryRegistry, layer: Buffer): Array<Range | undefined> {
  const path = `/v2/${PLACE.repository}/blobs/${digestOf(layer)}`
  return registry.requests
    .filter((request) => request.method === 'GET' && request.path === path)
    .map(({ headers }) => {
      const [, start, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
      return start === undefined ? undefined : { start: Number(start), end: last ? Number(last) + 1 : layer.length }
    })
}

function wireBytes(events: readonly EngineEvent[], layer: Buffer): number {
  const digest = digestOf(layer)
  return events.reduce((sum, event) => sum + (event.type === 'bytes' && event.digest === digest ? event.wire : 0), 0)
}

/** Over links that carry so much per connection; most of the time is theirs. */
describe('a large layer', { concurrency: 2 }, () => {
  test('comes over several connections where one is slow, each byte once', async (t) => {
    const { registry, link, big, folder, store, reference } = await bed(t, 20 * MIB)
    const { outcome, events } = await pullFrom(t, reference, { store })
    assert.equal((await store.packages.get(outcome.digest))?.complete, true)
    assert.deepEqual((await store.check({ signal })).findings, [])
    const [first, ...ranges] = asked(registry, big)
    assert.equal(first, undefined)
    assert.ok(ranges.length > 1, `${ranges.length} ranges`)
    assert.equal(wireBytes(events, big), big.length)
    assert.ok(link.passed.down < big.length + SLACK, `${link.passed.down} bytes for ${big.length}`)
    const offsets = events.flatMap((event) =>
      event.type === 'bytes' && event.digest === digestOf(big) ? [event.offset] : [],
    )
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    )
    assert.equal(offsets.at(-1), big.length)
    assert.deepEqual(await readdir(join(folder, 'ingest')), [])
  })

  test('comes over one stream where that is fast enough, no place is spare, or little is missing', async (t) => {
    const cases = [{ tuning: { enoughPerSecond: 1 } }, { concurrency: 1 }, { tuning: { minBytes: 9 * MIB } }]
    await Promise.all(
      cases.map(async ({ tuning = {}, concurrency = 6 }) => {
        const { registry, big, store, reference } = await bed(t, 8 * MIB, { tuning })
        await pullFrom(t, reference, { store, concurrency })
        assert.deepEqual(asked(registry, big), [undefined])
      }),
    )
  })

  test('a range that is cut goes on alone', async (t) => {
    const { registry, big, store, reference } = await bed(t, 16 * MIB)
    registry.fail({ method: 'GET', path: new RegExp(digestOf(big)), nth: 2 }, { kind: 'cut-response', afterBytes: MIB })
    const { events } = await pullFrom(t, reference, { store })
    assert.equal(events.filter((event) => event.type === 'retrying').length, 1)
    const [, cut, ...others] = asked(registry, big)
    const again = others.filter((range) => range?.end === cut?.end)
    assert.equal(again.length, 1)
    assert.ok((again[0]?.start ?? 0) >= (cut?.start ?? 0))
    assert.equal(others.filter((range) => range === undefined).length, 0)
    assert.equal(wireBytes(events, big), big.length)
  })

  test('wrong bytes in a range cost one stream from the start; wrong ones again fail the layer by its name', async (t) => {
    const spoiled = (bytes: Buffer) => Buffer.from(bytes).fill(1, bytes.length - 100)
    const mended = await bed(t, 8 * MIB)
    mended.registry.putBlob(PLACE.repository, spoiled(mended.big), digestOf(mended.big))
    let starts = 0
    const restarts: string[] = []
    await pullFrom(t, mended.reference, {
      store: mended.store,
      onEvent(event) {
        if (event.type === 'restarted') restarts.push(event.message)
        if (event.type !== 'started' || event.digest !== digestOf(mended.big) || ++starts < 2) return
        mended.registry.putBlob(PLACE.repository, mended.big)
      },
    })
    assert.equal(asked(mended.registry, mended.big).at(-1), undefined)
    assert.match(
      restarts.join('\n'),
      /^the download of components\/one\.tar starts again: .*components\/one\.tar.* \(DIGEST_MISMATCH\)$/,
    )
    assert.ok(asked(mended.registry, mended.big).length > 2)

    const { registry, big, folder, store, reference } = await bed(t, 8 * MIB)
    registry.putBlob(PLACE.repository, spoiled(big), digestOf(big))
    await assert.rejects(pullFrom(t, reference, { store }), {
      code: 'DIGEST_MISMATCH',
      message: /components\/one\.tar/,
    })
    assert.deepEqual(await readdir(join(folder, 'ingest')), [])
  })

  test('a registry that ignores Range is asked once, and goes on over one connection', async (t) => {
    const { registry, link, big, store, reference } = await bed(t, 12 * MIB, { ranges: false })
    const { outcome, events } = await pullFrom(t, reference, { store })
    assert.equal((await store.packages.get(outcome.digest))?.complete, true)
    assert.equal(asked(registry, big).length, 2)
    assert.equal(wireBytes(events, big), big.length)
    assert.ok(link.passed.down < big.length + SLACK, `${link.passed.down} bytes for ${big.length}`)
  })

  test('ranges that are refused in the middle are left to the first stream', async (t) => {
    const { registry, big, store, reference } = await bed(t, 16 * MIB)
    registry.fail({ method: 'GET', path: new RegExp(digestOf(big)), nth: 3 }, { kind: 'answer', status: 416 })
    const { outcome, events } = await pullFrom(t, reference, { store })
    assert.equal((await store.packages.get(outcome.digest))?.complete, true)
    assert.equal(wireBytes(events, big), big.length)
  })

  test('after a kill another process asks for what is in no range', async (t) => {
    const { registry, link, big, folder, store, reference } = await bed(t, 16 * MIB)
    const killed = Promise.withResolvers<void>()
    registry.fail({ method: 'GET', path: new RegExp(digestOf(big)), nth: 2 }, { kind: 'hold', until: killed.promise })
    const child = await startProcess(t, process.execPath, [CHILD, folder, reference, 'ranges'])
    const partial = async () => {
      const names = await readdir(join(folder, 'ingest'))
      return names.filter(
        (name) => name.startsWith(digestOf(big).replace(':', '-')) && !/\.(?:lock|ranges)$/.test(name),
      )
    }
    const holes = async () => {
      const [name] = await partial()
      return ((name && (await writtenRanges(join(folder, 'ingest', name)))) || []).length > 1
    }
    await waitFor('a partial file with a hole', holes, { timeoutMs: 60_000, intervalMs: 20 })
    await child.kill()
    killed.resolve()

    const [name = ''] = await partial()
    const there = (await writtenRanges(join(folder, 'ingest', name))) ?? []
    assert.ok(there.length > 1)
    const [askedBefore, passedBefore] = [asked(registry, big).length, link.passed.down]
    const { outcome, events } = await pullFrom(t, reference, { store })
    assert.equal((await store.packages.get(outcome.digest))?.complete, true)
    assert.deepEqual((await store.check({ signal })).findings, [])
    const started = events.find((event) => event.type === 'started' && event.digest === digestOf(big))
    assert.equal(started?.type === 'started' && started.offset, rangeBytes(there))
    for (const range of asked(registry, big).slice(askedBefore)) {
      assert.ok(range, 'the whole layer was asked for')
      const twice = there.filter(({ start, end }) => start < range.end && range.start < end)
      assert.deepEqual(twice, [], `${range.start} to ${range.end}`)
    }
    assert.ok(link.passed.down - passedBefore < big.length - rangeBytes(there) + SLACK)
    assert.deepEqual(await readdir(join(folder, 'ingest')), [])
  })
})
