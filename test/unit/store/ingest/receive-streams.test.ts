import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { BlobOpener, ByteStream, OpenOptions, PushEvent } from '../../../../src/content/endpoints.ts'
import { RangeIgnored } from '../../../../src/content/ranges.ts'
import { AppError } from '../../../../src/lib/errors.ts'
import { createContentStore } from '../../../../src/store/content-store.ts'
import { writtenRanges } from '../../../../src/store/ingest/range-journal.ts'
import { rangeBytes } from '../../../../src/store/ingest/range-plan.ts'
import type { Cleanup } from '../../../helpers/cleanup.ts'
import { someBytes, testBlob } from '../../../helpers/registries/oci-client.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

async function storeFor(t: Cleanup, rangeBytes: number) {
  const folder = await tempDir(t, 'store')
  const ranges = { minBytes: 1, lookMs: 1, enoughPerSecond: Infinity, leastBytes: rangeBytes, mostBytes: rangeBytes }
  return { folder, store: await createContentStore({ folder, ranges }) }
}

/** Opens that were asked for, in order, and what answers each. */
function scripted(answer: (options: OpenOptions, nth: number) => ByteStream): {
  open: BlobOpener
  asked: OpenOptions[]
} {
  const asked: OpenOptions[] = []
  return {
    asked,
    async open(options) {
      asked.push(options)
      return answer(options, asked.length)
    },
  }
}

/** One place; `given` is told when it was given back. */
const places = (wanted: () => boolean = () => false, given: () => void = () => undefined) => {
  let free = 1
  return () => {
    if (free === 0) return undefined
    free -= 1
    return {
      get wanted() {
        return wanted()
      },
      [Symbol.dispose]() {
        free += 1
        given()
      },
    }
  }
}

test('a range refused while the first stream writes its last chunk before it loses no bytes', async (t) => {
  const { folder, store } = await storeFor(t, 10 * MIB)
  const blob = testBlob(someBytes(32 * MIB))
  const refusal = Promise.withResolvers<never>()
  refusal.promise.catch(() => undefined)
  async function* first(): ByteStream {
    let at = 0
    const next = (end: number) => blob.bytes.subarray(at, (at = end))
    while (source.asked.length === 1) {
      yield next(at + 100_000)
      await pause(2)
    }
    const end = source.asked[1]?.offset ?? 0
    yield next(end - 5 * MIB)
    // More than 8 MiB have come by then: what was written is remembered, which takes a while.
    setImmediate(() => refusal.reject(new RangeIgnored('no ranges')))
    yield next(end + MIB)
    while (at < blob.bytes.length) yield next(at + MIB)
  }
  async function* refused(): ByteStream {
    yield await refusal.promise
  }
  const source = scripted(({ offset = 0 }, nth) => {
    if (nth === 1) return first()
    return nth === 2 ? refused() : chunks(blob.bytes.subarray(offset))
  })
  await store.push(blob.descriptor, source.open, { signal, spare: places() })
  assert.deepEqual(
    source.asked.map(({ offset }) => offset),
    [0, source.asked[1]?.offset, source.asked[1]?.offset],
  )
  assert.deepEqual((await store.check({ signal })).findings, [])
  assert.deepEqual(await readdir(join(folder, 'ingest')), [])
})

/** A source whose first stream gives no more, once there are two, than `goesOn` lets it. */
function slowFirst(bytes: Buffer, goesOn: Promise<unknown>, others: (options: OpenOptions, nth: number) => ByteStream) {
  async function* first(): ByteStream {
    for (let at = 0; at < bytes.length; at += 10_000) {
      if (source.asked.length === 1) await pause(2)
      if (source.asked.length > 1) await goesOn
      yield bytes.subarray(at, at + 10_000)
    }
  }
  const source = scripted((options, nth) => (nth === 1 ? first() : others(options, nth)))
  return source
}

for (const [what, error] of [
  ['for good', new AppError('REGISTRY_DENIED', 'one is enough', { upstream: { status: 403 } })],
  ['after all its tries', new AppError('REGISTRY_CONNECTION_LOST', 'no more connections')],
] as const) {
  test(`a further stream that fails ${what} leaves its bytes to the first`, async (t) => {
    const { store } = await storeFor(t, MIB)
    const blob = testBlob(someBytes(4 * MIB))
    const failed = Promise.withResolvers<void>()
    const source = slowFirst(blob.bytes, failed.promise, async function* ({ offset = 0 }, nth) {
      if (nth === 2) {
        yield blob.bytes.subarray(offset, offset + 100_000)
        setImmediate(failed.resolve)
        throw error
      }
      yield* chunks(blob.bytes.subarray(offset))
    })
    await store.push(blob.descriptor, source.open, { signal, spare: places() })
    assert.equal(source.asked.filter(({ offset }) => offset === 0).length, 1)
    assert.deepEqual((await store.check({ signal })).findings, [])
  })
}

test('a further stream that fails when the first has nothing more to bring is followed by one', async (t) => {
  const { store, folder } = await storeFor(t, MIB)
  const blob = testBlob(someBytes(3 * MIB))
  const partial = join(folder, 'ingest', blob.descriptor.digest.replace(':', '-'))
  const source = slowFirst(blob.bytes, Promise.resolve(), async function* ({ offset = 0, end }, nth) {
    if (nth === 2) {
      const others = 2 * MIB
      await waitFor('all else', async () => rangeBytes((await writtenRanges(partial)) ?? []) === others)
      await pause(2)
      throw new AppError('REGISTRY_CONNECTION_LOST', 'cut')
    }
    yield blob.bytes.subarray(offset, end)
  })
  await store.push(blob.descriptor, source.open, { signal, spare: places() })
  assert.equal(source.asked.filter(({ offset }) => offset === 0).length, 1)
  assert.deepEqual((await store.check({ signal })).findings, [])
})

test('a further stream that is to wait because of an answer ends, and one that was cut goes on', async (t) => {
  const { store } = await storeFor(t, MIB)
  const blob = testBlob(someBytes(4 * MIB))
  const told: unknown[] = []
  const ended = Promise.withResolvers<void>()
  const cut = new AppError('REGISTRY_CONNECTION_LOST', 'cut')
  const throttled = new AppError('REGISTRY_THROTTLED', 'too many', { upstream: { status: 429 } })
  const source = slowFirst(blob.bytes, ended.promise, async function* ({ offset = 0, onRetry }, nth) {
    if (nth === 2) {
      onRetry?.(cut, 1, 0)
      setImmediate(ended.resolve)
      onRetry?.(throttled, 2, 0)
      assert.fail('waited')
    }
    yield* chunks(blob.bytes.subarray(offset))
  })
  const onEvent = (event: PushEvent) => void (event.type === 'retrying' && told.push(event.error))
  await store.push(blob.descriptor, source.open, { signal, spare: places(), onEvent })
  assert.deepEqual(told, [cut])
  assert.equal(source.asked.length, 2, 'the first took it all back')
})

test('a further stream gives its place back after its request where somebody waits for one', async (t) => {
  const { store } = await storeFor(t, MIB)
  const blob = testBlob(someBytes(6 * MIB))
  const goesOn = Promise.withResolvers<number>()
  let line = 0
  const ranges: number[] = []
  const spare = places(
    () => line > 0,
    () => goesOn.resolve(ranges.length),
  )
  const source = slowFirst(blob.bytes, goesOn.promise, async function* ({ offset = 0, end }) {
    ranges.push(offset)
    if (ranges.length === 2) line = 1
    yield blob.bytes.subarray(offset, end)
  })
  await store.push(blob.descriptor, source.open, { signal, spare })
  assert.equal(await goesOn.promise, 2, 'ranges when the place was given back')
  assert.deepEqual((await store.check({ signal })).findings, [])
})

async function* chunks(bytes: Buffer): ByteStream {
  for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB)
}
