import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAll } from '../../../../../src/content/streams.ts'
import { createPartReader } from '../../../../../src/oci/push/parts/part-reader.ts'
import { someBytes } from '../../../../helpers/registries/oci-client.ts'

const BYTES = someBytes(1_000_000)

/** A source that uses one buffer again and again, as far as ByteStream lets it, and says when it was opened and closed. */
function source(chunkBytes: number) {
  const told: string[] = []
  const ring = Array.from({ length: 4 }, () => Buffer.alloc(chunkBytes))
  async function* read(offset: number): AsyncGenerator<Buffer> {
    told.push(`open ${offset}`)
    try {
      for (let at = offset, turn = 0; at < BYTES.length; at += chunkBytes, turn += 1) {
        const bytes = BYTES.subarray(at, at + chunkBytes)
        const buffer = ring[turn % ring.length] as Buffer
        bytes.copy(buffer)
        yield buffer.subarray(0, bytes.length)
      }
    } finally {
      told.push('close')
    }
  }
  return { told, read }
}

for (const chunkBytes of [1000, 70_000, 400_000]) {
  test(`parts that follow on each other come from one reading, in chunks of ${chunkBytes}`, async () => {
    const { told, read } = source(chunkBytes)
    const reader = createPartReader(read, BYTES.length)
    for (const [offset, end] of [
      [0, 1],
      [1, 300_000],
      [300_000, 300_001],
      [300_001, BYTES.length],
    ] as const) {
      assert.deepEqual(await readAll(reader.pieces(offset, end)), BYTES.subarray(offset, end))
    }
    assert.deepEqual(told, ['open 0', 'close'])
  })
}

test('a part that begins elsewhere, and one after a part that broke off, open the source again', async () => {
  const { told, read } = source(1000)
  const reader = createPartReader(read, BYTES.length)
  await readAll(reader.pieces(0, 1500))
  await readAll(reader.pieces(1000, 2000))
  assert.deepEqual(told, ['open 0', 'close', 'open 1000'])
  for await (const piece of reader.pieces(2000, 9000)) {
    assert.ok(piece.length > 0)
    break
  }
  assert.deepEqual(told.slice(3), ['close'])
  await readAll(reader.pieces(3000, 4000))
  assert.deepEqual(told.slice(4), ['open 3000'])
  await reader.close()
  assert.deepEqual(told.slice(5), ['close'])
})

test('what is left of a chunk in a reused buffer is kept from its source', async () => {
  const { read } = source(100_000)
  const reader = createPartReader(read, BYTES.length)
  await readAll(reader.pieces(0, 90_000))
  const pieces: Buffer[] = []
  for await (const piece of reader.pieces(90_000, BYTES.length)) pieces.push(piece)
  // The first one is small enough to lie in a queue while the others are read.
  assert.deepEqual(pieces[0], BYTES.subarray(90_000, 100_000))
})
