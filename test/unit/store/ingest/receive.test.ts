import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { BlobOpener, ByteStream, PushEvent, SparePlace } from '../../../../src/content/endpoints.ts'
import { RangeIgnored } from '../../../../src/content/ranges.ts'
import { AppError } from '../../../../src/lib/errors.ts'
import { createContentStore } from '../../../../src/store/content-store.ts'
import { someBytes, testBlob } from '../../../helpers/registries/oci-client.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const { signal } = new AbortController()
const CHUNK_BYTES = 100_000
/** More than one stream as often as can be. */
const EAGER = {
  minBytes: 1,
  lookMs: 1,
  enoughPerSecond: Infinity,
  leastBytes: 2 * CHUNK_BYTES,
  mostBytes: 4 * CHUNK_BYTES,
}

/** A source whose streams come now and then, break, and refuse ranges, by the dice. */
class MoodySource {
  readonly #bytes: Buffer
  readonly #dice: () => number
  /** How likely a step breaks, or refuses what has an end. */
  readonly #moods: { breaks: number; refuses: number }
  open = 0
  mostOpen = 0

  constructor(bytes: Buffer, dice: () => number, moods: { breaks: number; refuses: number }) {
    this.#bytes = bytes
    this.#dice = dice
    this.#moods = moods
  }

  readonly opener: BlobOpener = async ({ offset = 0, end = this.#bytes.length, signal: stop }) => {
    await this.#pause()
    if (end < this.#bytes.length && this.#dice() < this.#moods.refuses) throw new RangeIgnored('no ranges')
    return this.#stream(offset, end, stop)
  }

  async *#stream(offset: number, end: number, stop: AbortSignal): ByteStream {
    this.open += 1
    this.mostOpen = Math.max(this.mostOpen, this.open)
    const ring = Array.from({ length: 4 }, () => Buffer.alloc(CHUNK_BYTES))
    try {
      for (let at = offset, turn = 0; at < end; turn += 1) {
        const length = Math.min(end - at, 1 + Math.floor(this.#dice() * CHUNK_BYTES))
        // Small ones are their consumer's own.
        const chunk = length < 65_536 ? Buffer.alloc(length) : (ring[turn % 4] ?? Buffer.alloc(0)).subarray(0, length)
        this.#bytes.copy(chunk, 0, at)
        at += length
        yield chunk
        if (stop.aborted) throw stop.reason
        await this.#pause()
        if (this.#dice() < this.#moods.breaks) throw new AppError('REGISTRY_CONNECTION_LOST', 'broken')
      }
    } finally {
      await this.#pause()
      this.open -= 1
    }
  }

  #pause(): Promise<void> {
    const ms = this.#dice() * 3
    return new Promise((resolve) => (ms < 1 ? setImmediate(resolve) : setTimeout(resolve, ms)))
  }
}

function diceOf(seed: number): () => number {
  let state = seed
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
}

test('however streams break and refuse, each byte comes once and the blob is whole', async (t) => {
  let several = 0
  for (let seed = 1; seed <= 12; seed += 1) {
    const dice = diceOf(seed)
    const blob = testBlob(someBytes(500_000 + Math.floor(dice() * 1_500_000), seed))
    const source = new MoodySource(blob.bytes, dice, { breaks: (seed % 2) * 0.04, refuses: (seed % 3) * 0.1 })
    const folder = await tempDir(t, 'store')
    const places = { free: 4 }
    for (let there = 0, whole = false; !whole; ) {
      // Anew, as after a restart.
      await using store = await createContentStore({ folder, ranges: EAGER })
      const events: PushEvent[] = []
      const options = { signal, spare: spareOf(places), onEvent: (event: PushEvent) => void events.push(event) }
      whole = await store.push(blob.descriptor, source.opener, options).then(
        () => true,
        (error: AppError) => assert.equal(error.message, 'broken', `seed ${seed}`) ?? false,
      )
      const started = events.find((event) => event.type === 'started')
      assert.equal(started?.offset, there, `seed ${seed}: what had come is there`)
      for (const event of events) if (event.type === 'bytes') assert.equal(event.offset, (there += event.wire))
      assert.deepEqual([source.open, places.free], [0, 4], `seed ${seed}: all streams have ended`)
    }
    await using store = await createContentStore({ folder })
    assert.deepEqual([(await store.check({ signal })).findings, await store.missing([blob.descriptor])], [[], []])
    assert.deepEqual(await readdir(join(folder, 'ingest')), [])
    if (source.mostOpen > 1) several += 1
  }
  assert.ok(several > 5, `several streams in ${several} of 12`)
})

function spareOf(places: { free: number }): SparePlace {
  return () => {
    if (places.free === 0) return undefined
    places.free -= 1
    return { wanted: false, [Symbol.dispose]: () => void (places.free += 1) }
  }
}
