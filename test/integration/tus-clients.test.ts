import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Upload, type UploadOptions } from 'tus-js-client'
import { startApp } from '../helpers/streams/http-app.ts'

const MiB = 1024 * 1024

/** As a program in Node does it. */
function send(bytes: Buffer, options: UploadOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const upload = new Upload(bytes, {
      retryDelays: null,
      ...options,
      onError: reject,
      onSuccess: () => resolve(upload.url ?? ''),
    })
    upload.start()
  })
}

test('tus-js-client sends a file: in one PATCH, in many, with its creation, of unknown length, of no bytes', async (t) => {
  const { listen, uploads } = await startApp(t)
  const endpoint = `${await listen()}/v1/uploads`
  const bytes = randomBytes(5 * MiB + 1)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const metadata = { filename: 'p.tar.zst', filetype: 'application/zstd', sha256 }
  const ways: Array<[string, Buffer, UploadOptions]> = [
    ['one', bytes, { metadata }],
    ['many', bytes, { metadata, chunkSize: MiB }],
    ['with its creation', bytes, { metadata, uploadDataDuringCreation: true, chunkSize: 2 * MiB }],
    ['whole with its creation', bytes, { metadata, uploadDataDuringCreation: true }],
    ['empty', Buffer.alloc(0), { metadata: { filename: 'e.tar' } }],
  ]
  for (const [way, body, options] of ways) {
    const url = await send(body, { endpoint, ...options })
    const id = url.split('/').at(-1) ?? ''
    assert.equal(url, `${endpoint}/${id}`, way)
    const upload = await uploads.get(id)
    assert.deepEqual(
      [upload?.size, upload?.sha256],
      [body.length, createHash('sha256').update(body).digest('hex')],
      way,
    )
  }
  assert.equal((await uploads.list()).length, ways.length)
})
