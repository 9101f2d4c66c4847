import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { BROWSERS, findBrowser, startBrowser } from '../helpers/processes/browser.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'

const CLIENT = new URL('../../node_modules/tus-js-client/dist/tus.min.js', import.meta.url)

/** Sends a file, breaks off after two of its pieces, and goes on as who opens the page again does: by what it finds in the page's storage. */
const SEND = `(async () => {
  const bytes = new Uint8Array(3 * 1024 * 1024 + 7)
  for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(bytes.length, at + 65536)))
  const sha256 = [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const file = new File([bytes], 'p.tar', { type: 'application/x-tar', lastModified: 1 })
  const options = { endpoint: '/v1/uploads', chunkSize: 512 * 1024, retryDelays: null, metadata: { filename: file.name, sha256 } }
  const pieces = []
  const url = await new Promise((resolve, reject) => {
    const first = new tus.Upload(file, {
      ...options,
      onError: reject,
      onChunkComplete: (size, offset) => {
        pieces.push(offset)
        if (pieces.length === 2) first.abort().then(() => resolve(first.url), reject)
      },
    })
    first.start()
  })
  let went
  const ended = await new Promise((resolve, reject) => {
    const second = new tus.Upload(file, {
      ...options,
      onError: reject,
      onProgress: (offset) => { went ??= offset },
      onSuccess: () => resolve(second.url),
    })
    second.findPreviousUploads().then(([found]) => {
      second.resumeFromPreviousUpload(found)
      second.start()
    }, reject)
  })
  return { url, ended, pieces, went, sha256, size: bytes.length }
})().catch((error) => ({ error: String(error) }))`

interface Sent {
  error?: string
  url: string
  ended: string
  pieces: number[]
  went: number
  sha256: string
  size: number
}

test("tus-js-client in a page of layerd's own sends a file, breaks off, and goes on; with a cookie too", async (t) => {
  const program = findBrowser()
  if (program === undefined) return t.skip(`not on PATH: ${BROWSERS.join(', ')}`)
  const app = await startApp(t, { tokensFile: await tokensFileOf(t, { ada: 'uploads:write' }) })
  const base = await app.listen()
  const browser = await startBrowser(t, program)
  // Its Content-Security-Policy lets scripts ask layerd itself.
  await browser.open(`${base}/docs`)
  const logIn = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: 'ada' }),
  }
  assert.equal(
    await browser.evaluate(`fetch('/v1/session', ${JSON.stringify(logIn)}).then(({ status }) => status)`),
    201,
  )
  await browser.evaluate(`${await readFile(CLIENT, 'utf8')}; 0`)
  const sent = await browser.evaluate<Sent>(SEND)
  assert.equal(sent.error, undefined)
  assert.deepEqual(sent.pieces, [512 * 1024, 1024 * 1024])
  assert.equal(sent.ended, sent.url)
  assert.ok(sent.went >= 1024 * 1024, `went on at ${sent.went}`)
  const upload = await app.uploads.get(sent.url.split('/').at(-1) ?? '')
  assert.deepEqual([upload?.size, upload?.sha256, upload?.principal], [sent.size, sent.sha256, 'ada'])
  assert.deepEqual(browser.faults, [])
})
