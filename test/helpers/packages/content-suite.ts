import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type TestContext, describe, it } from 'node:test'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import type { ByteStream, ContentSink, ContentSource, PushEvent } from '../../../src/content/endpoints.ts'
import { OCTET_STREAM } from '../../../src/content/media-types.ts'
import { bufferOpener, readAll } from '../../../src/content/streams.ts'
import { AppError } from '../../../src/lib/errors.ts'

export type ContentEnd = ContentSink & ContentSource

const signal = new AbortController().signal
const MIB = 1024 * 1024

export function descriptorOf(bytes: Buffer): Descriptor {
  return { mediaType: OCTET_STREAM, digest: digestOf(bytes), size: bytes.length }
}

/** What every end of the copy engine that can be written and read promises, whatever it is made of. */
export function contentSuite(name: string, create: (t: TestContext) => Promise<ContentEnd>): void {
  describe(name, () => {
    for (const size of [0, 1, 4096, 64 * 1024, MIB, 3 * MIB + 17]) {
      it(`gives back the ${size} bytes that were pushed`, async (t) => {
        const end = await create(t)
        const bytes = randomBytes(size)
        const blob = descriptorOf(bytes)
        assert.equal(await end.exists(blob, { signal }), false)
        await end.push(blob, bufferOpener(bytes), { signal })
        assert.equal(await end.exists(blob, { signal }), true)
        assert.equal(digestOf(await readAll(await end.open(blob, { signal }))), blob.digest)
      })
    }

    it('opens a blob at any offset', async (t) => {
      const end = await create(t)
      const bytes = randomBytes(2 * MIB + 5)
      const blob = descriptorOf(bytes)
      await end.push(blob, bufferOpener(bytes), { signal })
      for (const offset of [1, 65_535, MIB, 2 * MIB + 4]) {
        const rest = await readAll(await end.open(blob, { offset, signal }))
        assert.ok(rest.equals(bytes.subarray(offset)), `from ${offset}`)
      }
    })

    it('takes chunks that the source reads over once three more were asked for', async (t) => {
      const end = await create(t)
      const bytes = randomBytes(5 * MIB)
      await end.push(descriptorOf(bytes), async () => ringOf(bytes, 64 * 1024), { signal })
      const back = await readAll(await end.open(descriptorOf(bytes), { signal }))
      assert.ok(back.equals(bytes))
    })

    it('keeps its own chunks as long as ByteStream promises', async (t) => {
      const end = await create(t)
      const bytes = randomBytes(6 * MIB)
      const blob = descriptorOf(bytes)
      await end.push(blob, bufferOpener(bytes), { signal })
      const held: Buffer[] = []
      const hash = createHash('sha256')
      for await (const chunk of await end.open(blob, { signal })) {
        held.push(chunk)
        // Two more were asked for since; one more would be the third.
        if (held.length > 2) hash.update(held.shift() as Buffer)
      }
      for (const chunk of held) hash.update(chunk)
      assert.equal(`sha256:${hash.digest('hex')}`, blob.digest)
    })

    it('tells the start, rising offsets up to the size, and the check', async (t) => {
      const end = await create(t)
      const bytes = randomBytes(2 * MIB)
      const events: PushEvent[] = []
      await end.push(descriptorOf(bytes), bufferOpener(bytes), { signal, onEvent: (event) => events.push(event) })
      assert.deepEqual(events[0], { type: 'started', offset: 0 })
      const moved = events.filter((event) => event.type === 'bytes')
      assert.equal(moved.at(-1)?.offset, bytes.length)
      assert.equal(
        moved.reduce((sum, event) => sum + event.wire, 0),
        bytes.length,
      )
      assert.equal(events.at(-1)?.type, 'verifying')
    })

    const wrong: Record<string, [(bytes: Buffer) => Buffer, string]> = {
      'too short': [(bytes) => bytes.subarray(1), 'SIZE_MISMATCH'],
      'too long': [(bytes) => Buffer.concat([bytes, bytes.subarray(0, 1)]), 'SIZE_MISMATCH'],
      'of the right size and wrong': [(bytes) => Buffer.from(bytes).fill(0, 0, 9), 'DIGEST_MISMATCH'],
    }
    for (const [what, [spoil, code]] of Object.entries(wrong)) {
      it(`refuses content that is ${what} and shows nothing of it`, async (t) => {
        const end = await create(t)
        const bytes = randomBytes(MIB + 3)
        const blob = descriptorOf(bytes)
        await assert.rejects(end.push(blob, bufferOpener(spoil(bytes)), { signal }), { code })
        assert.equal(await end.exists(blob, { signal }), false)
        await end.push(blob, bufferOpener(bytes), { signal })
        assert.equal(await end.exists(blob, { signal }), true)
      })
    }

    it('stops at once when the signal aborts', async (t) => {
      const end = await create(t)
      const bytes = randomBytes(3 * MIB)
      const controller = new AbortController()
      const reason = new AppError('JOB_CANCELED', 'stop')
      const opener = async (): Promise<ByteStream> => abortsAfter(bytes, controller, reason)
      await assert.rejects(end.push(descriptorOf(bytes), opener, { signal: controller.signal }), {
        code: 'JOB_CANCELED',
      })
      assert.equal(await end.exists(descriptorOf(bytes), { signal }), false)
    })
  })
}

/** The chunks of a source whose four buffers are used in turn. */
async function* ringOf(bytes: Buffer, chunkBytes: number): ByteStream {
  const ring = Array.from({ length: 4 }, () => Buffer.alloc(chunkBytes))
  for (let offset = 0, turn = 0; offset < bytes.length; offset += chunkBytes, turn += 1) {
    const buffer = ring[turn % 4] as Buffer
    const length = bytes.copy(buffer, 0, offset)
    yield buffer.subarray(0, length)
  }
}

async function* abortsAfter(bytes: Buffer, controller: AbortController, reason: Error): ByteStream {
  yield bytes.subarray(0, MIB)
  controller.abort(reason)
  yield bytes.subarray(MIB)
}
