import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Readable } from 'node:stream'
import { constants, createZstdCompress, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { readAll } from '../../../../src/content/streams.ts'
import { decompress } from '../../../../src/zarf/archive/zstd.ts'

const CHECKED = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }

test('several frames, with skippable ones between, are one stream', async () => {
  const parts = [randomBytes(300_000), Buffer.alloc(500_000, 'a'), Buffer.alloc(0), randomBytes(10)]
  const file = Buffer.concat([
    skippable(7),
    ...parts.flatMap((part, index) => [zstdCompressSync(part, index % 2 ? CHECKED : {}), skippable(index * 1000)]),
  ])
  assert.ok((await whole([file])).equals(Buffer.concat(parts)))
})

test('frames of any content in chunks of any size decode to the same bytes', async () => {
  const frame = fc.tuple(
    fc.integer({ min: 0, max: 200_000 }),
    fc.boolean(),
    fc.integer({ min: -5, max: 5 }),
    fc.integer({ min: 0, max: 40 }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 5000 }),
      async (frames, step) => {
        const contents = frames.map(([size, compressible]) =>
          compressible ? Buffer.alloc(size, 'zarf ') : randomBytes(size),
        )
        const file = Buffer.concat(
          frames.flatMap(([, , level, skipped], index) => [
            zstdCompressSync(contents[index] ?? Buffer.alloc(0), {
              params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: skipped % 2 },
            }),
            ...(skipped > 20 ? [skippable(skipped)] : []),
          ]),
        )
        const length = Math.max(step, Math.ceil(file.length / 1000))
        const chunks = Array.from({ length: Math.ceil(file.length / length) }, (_, at) =>
          file.subarray(at * length, (at + 1) * length),
        )
        assert.ok((await whole(chunks)).equals(Buffer.concat(contents)))
      },
    ),
    { numRuns: 25 },
  )
})

test('frames that stand for nothing come to an end', async () => {
  const small = zstdCompressSync(Buffer.from('a'))
  const large = zstdCompressSync(Buffer.alloc(16 * 1024 ** 2))
  const most = [large, ...Array.from({ length: 1000 }, () => small)]
  assert.equal((await whole(most)).length, 16 * 1024 ** 2 + 1000)
  for (const [name, frame] of [
    ['small', small],
    ['skippable', skippable(0)],
  ] as const) {
    let given = 0
    async function* input() {
      yield large
      for (; given < 1_000_000; given += 1) yield frame
    }
    await assert.rejects(
      readAll(decompress(input())),
      { code: 'PACKAGE_INVALID', message: /too many zstd frames/ },
      name,
    )
    assert.ok(given < 1100, `${given} ${name} frames`)
  }
})

test('skippable frames that go on are not read for long', async () => {
  const empty = Buffer.alloc(1024 ** 2)
  let given = 0
  async function* input() {
    yield zstdCompressSync(Buffer.from('a'))
    for (let frame = 0; frame < 20; frame += 1) {
      yield skippable(64 * 1024 ** 2, Buffer.alloc(0))
      for (let part = 0; part < 64; part += 1, given += 1) yield empty
    }
  }
  await assert.rejects(readAll(decompress(input())), { code: 'PACKAGE_INVALID', message: /frames that are no content/ })
  assert.equal(given, 128)
})

test('a file cut anywhere is truncated, never whole', async () => {
  const file = Buffer.concat([zstdCompressSync(Buffer.alloc(200_000, 'abc'), CHECKED), skippable(9)])
  for (let length = 0; length < file.length; length++) {
    // Behind the first frame lies a whole archive.
    if (length === file.length - 17) continue
    await assert.rejects(whole([file.subarray(0, length)]), { code: 'PACKAGE_TRUNCATED' }, `cut at ${length}`)
  }
})

test('bytes after the last frame that are no frame are refused', async () => {
  const file = Buffer.concat([zstdCompressSync('content'), Buffer.from('garbage')])
  await assert.rejects(whole([file]), { code: 'PACKAGE_INVALID', message: /other bytes after its last zstd frame/ })
})

test('text is no zstd file', async () => {
  await assert.rejects(whole([Buffer.from('plain text')]), { code: 'PACKAGE_INVALID', message: /does not begin/ })
})

test('a flipped bit anywhere in a checked frame never passes', async () => {
  const content = randomBytes(2000)
  const file = zstdCompressSync(content, CHECKED)
  for (let at = 0; at < file.length; at += 7) {
    const flipped = Buffer.from(file)
    flipped[at] = (flipped[at] ?? 0) ^ 0x10
    await assert.rejects(whole([flipped]), (error: Error & { code?: string }) => {
      assert.match(error.code ?? error.message, /^PACKAGE_(INVALID|TRUNCATED)$/, `flipped at ${at}: ${error.message}`)
      return true
    })
  }
})

test('a wider window is read where that is allowed, up to there', async () => {
  const bytes = randomBytes(100_000)
  const params = { [constants.ZSTD_c_windowLog]: 28, [constants.ZSTD_c_compressionLevel]: 1 }
  // Of a stream the length is not known, so the window is as wide as it is said to be.
  const file = await readAll(Readable.from([bytes]).pipe(createZstdCompress({ params })))
  const read = (maxWindowBytes?: number) =>
    readAll(decompress(Readable.from([file]), maxWindowBytes === undefined ? {} : { maxWindowBytes }))
  for (const least of [undefined, 2 ** 28 - 1]) {
    await assert.rejects(read(least), {
      code: 'PACKAGE_INVALID',
      message: /window of 256 MiB/,
      hint: /LAYERD_ZSTD_WINDOW/,
    })
  }
  assert.ok((await read(2 ** 28)).equals(bytes))
})

test('a window over 128 MiB is refused before memory is taken for it', async () => {
  const frame = zstdCompressSync(Buffer.alloc(10))
  // A frame header with a window descriptor of 256 MiB in place of the one that was written.
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (28 - 10) << 3])
  await assert.rejects(whole([header, frame.subarray(6)]), {
    code: 'PACKAGE_INVALID',
    message: /window of 256 MiB/,
    hint: /--long=27/,
  })
})

test('a frame that needs a dictionary is refused', async () => {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x21, 0x07, 0x05])
  await assert.rejects(whole([header]), { code: 'PACKAGE_INVALID', message: /dictionary/ })
})

test('each piece is decoded before the next is asked for: its buffer may be read over then', async () => {
  const content = randomBytes(100_000)
  const file = zstdCompressSync(content)
  async function* input() {
    const buffer = Buffer.alloc(1000)
    for (let at = 0; at < file.length; at += buffer.length) yield buffer.subarray(0, file.copy(buffer, 0, at))
  }
  assert.ok((await readAll(decompress(input()))).equals(content))
})

test('a chunk is whole until three more were asked for, and its memory is given back soon after', async () => {
  const content = randomBytes(8_000_000)
  async function* input() {
    yield zstdCompressSync(content)
  }
  const seen: { chunk: Buffer; at: number; end: number }[] = []
  let position = 0
  for await (const chunk of decompress(input())) {
    seen.push({ chunk, at: position, end: position + chunk.length })
    position += chunk.length
    for (const { chunk: kept, at, end } of seen.slice(-3, -1)) {
      assert.ok(kept.equals(content.subarray(at, end)), `the chunk at ${at}`)
    }
    const held = seen.filter(({ chunk: { buffer, length } }) => length > 0 && buffer !== chunk.buffer)
    assert.ok(held.length < 12, `${held.length} chunks still hold memory`)
  }
  assert.equal(position, content.length)
})

test('small chunks are never given back', async () => {
  const content = randomBytes(3_000_000)
  const file = zstdCompressSync(content)
  async function* input() {
    for (let at = 0; at < file.length; at += 40_000) yield file.subarray(at, at + 40_000)
  }
  const small: { chunk: Buffer; at: number; end: number }[] = []
  let position = 0
  for await (const chunk of decompress(input())) {
    if (chunk.length < 64 * 1024) small.push({ chunk, at: position, end: position + chunk.length })
    position += chunk.length
  }
  assert.ok(small.length > 3)
  for (const { chunk, at, end } of small) assert.ok(chunk.equals(content.subarray(at, end)), `at ${at}`)
})

test('a consumer that stops early stops the reading of the file', async () => {
  let finished = false
  async function* input() {
    try {
      for (;;) yield zstdCompressSync(randomBytes(1_000_000))
    } finally {
      finished = true
    }
  }
  for await (const _ of decompress(input())) break
  assert.ok(finished)
})

async function whole(chunks: Buffer[]): Promise<Buffer> {
  async function* input() {
    yield* chunks
  }
  return await readAll(decompress(input()))
}

function skippable(size: number, content = randomBytes(size)): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(0x184d2a50 + (size % 16))
  header.writeUInt32LE(size, 4)
  return Buffer.concat([header, content])
}
