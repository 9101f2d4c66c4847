import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../../../src/content/digest.ts'
import { verified } from '../../../../src/content/hashing/verify.ts'
import { AppError } from '../../../../src/lib/errors.ts'

const content = Buffer.from('the quick brown fox')
const descriptor = { mediaType: 'application/octet-stream', digest: digestOf(content), size: content.length }

async function* chunks(...parts: Buffer[]): AsyncIterable<Buffer> {
  yield* parts
}

async function drain(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}

test('right bytes pass through, however they are cut', async () => {
  for (const cut of [0, 1, 7, content.length]) {
    const stream = chunks(content.subarray(0, cut), content.subarray(cut))
    assert.deepEqual(await drain(verified(stream, descriptor)), content)
  }
})

test('wrong bytes never hand on the last chunk', async () => {
  const wrong = Buffer.from(content)
  wrong[3] = 0
  const got: Buffer[] = []
  await assert.rejects(
    async () => {
      for await (const part of verified(chunks(wrong.subarray(0, 5), wrong.subarray(5)), descriptor)) got.push(part)
    },
    { code: 'DIGEST_MISMATCH' },
  )
  assert.equal(Buffer.concat(got).length, 5)
})

test('too few and too many bytes are told apart', async () => {
  await assert.rejects(drain(verified(chunks(content.subarray(1)), descriptor)), /only 18 bytes, expected 19/)
  await assert.rejects(drain(verified(chunks(content, Buffer.from('x')), descriptor)), /at least 20 bytes, expected 19/)
})

test('empty content is checked too', async () => {
  const empty = { mediaType: 'x/y', digest: digestOf(''), size: 0 }
  assert.equal((await drain(verified(chunks(), empty))).length, 0)
  await assert.rejects(drain(verified(chunks(), { ...descriptor, size: 0 })), { code: 'DIGEST_MISMATCH' })
})

test('the caller names the content and the error', async () => {
  const mismatch = (found: string) => new AppError('PACKAGE_CHECKSUM_MISMATCH', `a.tar is ${found.slice(0, 4)}`)
  await assert.rejects(drain(verified(chunks(Buffer.alloc(19)), descriptor, { mismatch })), {
    code: 'PACKAGE_CHECKSUM_MISMATCH',
  })
})
