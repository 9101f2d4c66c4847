import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import type { Upload } from '../../src/files/upload-folder.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { waitFor } from '../helpers/wait-for.ts'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** A PUT whose body is sent by hand; resolves with the answer's head and text. */
function openPut(url: string, headers: Record<string, string> = {}) {
  const request = httpRequest(url, { method: 'PUT', headers })
  const answer = new Promise<{ status: number; body: string; closes: boolean }>((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => {
      const closes = response.headers.connection === 'close'
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body, closes }), reject)
    })
  })
  answer.catch(() => {})
  return { request, answer }
}

test('curl -T sends a package, whatever type it names, and gets its hash', async (t) => {
  const { app, listen, uploads, uploadFolder, root } = await startApp(t)
  const base = await listen()
  const bytes = randomBytes(5_000_000)
  const name = `zarf-package-${'long-'.repeat(30)}name-amd64-1.0.0+build.tar.zst`
  await writeFile(join(root, name), bytes)
  for (const extra of [[], ['-H', 'Content-Type: application/zstd'], ['-H', 'Transfer-Encoding: chunked']]) {
    const curl = await runProcess(t, 'curl', ['-sS', '-i', ...extra, '-T', join(root, name), `${base}/v1/uploads/`])
    assert.match(curl.stdout, /HTTP\/1\.1 201 /, curl.stdout)
    const upload = JSON.parse(curl.stdout.slice(curl.stdout.lastIndexOf('\r\n\r\n'))) as Upload
    assert.deepEqual(upload, { id: upload.id, name, state: 'complete', size: bytes.length, sha256: sha256(bytes) })
    assert.ok(curl.stdout.includes(`location: /v1/uploads/${upload.id}`), curl.stdout)
    assert.deepEqual((await app.inject(`/v1/uploads/${upload.id}`)).json(), upload)
    assert.ok((await readFile((await uploads.use(upload.id)).path)).equals(bytes))
  }
  assert.equal((await readdir(uploadFolder)).length, 3)
})

test('names that are no plain package file name are refused', async (t) => {
  const { app, uploadFolder } = await startApp(t)
  const cases: Array<[name: string, status: number, code: string]> = [
    ['package.zip', 422, 'PACKAGE_FORMAT_UNSUPPORTED'],
    ['tar.zst', 422, 'PACKAGE_FORMAT_UNSUPPORTED'],
    ['.tar', 400, 'REQUEST_INVALID'],
    ['..%2F..%2Fetc%2Fp.tar', 400, 'REQUEST_INVALID'],
    ['a%2Fp.tar', 400, 'REQUEST_INVALID'],
    ['a%5Cp.tar', 400, 'REQUEST_INVALID'],
    ['p%00.tar', 400, 'REQUEST_INVALID'],
    ['p%1B%5B2J.tar', 400, 'REQUEST_INVALID'],
    ['p%E2%80%AErat.tar', 400, 'REQUEST_INVALID'],
    ['p%0A.tar', 400, 'REQUEST_INVALID'],
    [`${'x'.repeat(260)}.tar`, 400, 'REQUEST_INVALID'],
  ]
  for (const [name, status, code] of cases) {
    const response = await app.inject({ method: 'PUT', url: `/v1/uploads/${name}`, payload: Buffer.from('x') })
    assert.deepEqual([response.statusCode, response.json<Problem>().code], [status, code], name)
  }
  assert.deepEqual(await readdir(uploadFolder), [])
  assert.equal((await app.inject('/v1/uploads/00000000-0000-4000-8000-000000000000')).statusCode, 404)
})

test('a part of a file, and a compressed body, are refused before they are taken for the whole', async (t) => {
  const { app, listen, uploadFolder, root } = await startApp(t)
  const url = '/v1/uploads/zarf-package-a-amd64-1.0.0.tar'
  const send = (headers: Record<string, string>) =>
    app.inject({ method: 'PUT', url, headers, payload: Buffer.from('tail') })
  const part = await send({ 'content-range': 'bytes 10-13/14' })
  assert.deepEqual([part.statusCode, part.json<Problem>().code], [400, 'REQUEST_INVALID'])
  assert.match(part.json<Problem>().detail, /Content-Range/)
  for (const coding of ['gzip', 'zstd', 'identity, gzip']) {
    const coded = await send({ 'content-encoding': coding })
    assert.deepEqual([coded.statusCode, coded.json<Problem>().code], [415, 'UNSUPPORTED_MEDIA_TYPE'], coding)
    assert.equal(coded.headers['accept-encoding'], 'identity')
  }
  const path = join(root, 'zarf-package-a-amd64-1.0.0.tar')
  await writeFile(path, randomBytes(1000))
  const curl = await runProcess(t, 'curl', ['-sS', '-C', '500', '-T', path, `${await listen()}/v1/uploads/`])
  assert.equal((JSON.parse(curl.stdout) as Problem).status, 400, 'curl -C sends the file without its head')
  assert.deepEqual(await readdir(uploadFolder), [])
  for (const coding of ['', 'identity', 'Identity'])
    assert.equal((await send({ 'content-encoding': coding })).statusCode, 201)
})

test('a digest that is sent along is checked, and nothing is kept of a body that has another', async (t) => {
  const { app, uploadFolder } = await startApp(t)
  const payload = randomBytes(100_000)
  const digest = (bytes: Buffer) => `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`
  const send = (headers: Record<string, string>) =>
    app.inject({ method: 'PUT', url: '/v1/uploads/zarf-package-a-amd64-1.0.0.tar', headers, payload })
  const other = digest(Buffer.from('other'))
  for (const name of ['content-digest', 'repr-digest']) {
    const wrong = await send({ [name]: `unixsum=:AAA=:, ${other}` })
    assert.deepEqual([wrong.statusCode, wrong.json<Problem>().code], [400, 'BODY_DIGEST_MISMATCH'])
    assert.ok(wrong.json<Problem>().detail.includes(sha256(payload)), wrong.body)
  }
  const both = await send({ 'content-digest': digest(payload), 'repr-digest': other })
  assert.equal(both.statusCode, 400, 'both are checked')
  for (const broken of ['sha-256=abc', 'sha-256=:AAAA:', 'sha-256=:!:', 'sha-256']) {
    const answer = await send({ 'content-digest': broken })
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [400, 'REQUEST_INVALID'], broken)
  }
  assert.deepEqual(await readdir(uploadFolder), [])
  for (const fine of [digest(payload), `sha-512=:AAAA:, ${digest(payload)}`, 'md5=:AAAA:', '']) {
    assert.equal((await send({ 'content-digest': fine, 'repr-digest': fine })).statusCode, 201, fine)
  }
})

test('a compressed JSON body is refused as what it is', async (t) => {
  const { app } = await startApp(t)
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  const answer = await app.inject({ method: 'POST', url: '/v1/jobs', headers, payload: gzipSync('{"kind":"pull"}') })
  assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [415, 'UNSUPPORTED_MEDIA_TYPE'])
  assert.match(answer.json<Problem>().detail, /Content-Encoding/)
})

test('an upload whose length is known to be too large is refused at once', async (t) => {
  const { listen, uploadFolder } = await startApp(t, { uploadLimits: { maxBytes: 1000 } })
  const { request, answer } = openPut(`${await listen()}/v1/uploads/p.tar`, {
    'content-length': '1001',
  })
  request.flushHeaders()
  const { status, body } = await answer
  assert.deepEqual([status, (JSON.parse(body) as Problem).code], [413, 'PAYLOAD_TOO_LARGE'])
  request.destroy()
  assert.deepEqual(await readdir(uploadFolder), [])
})

test('who asks first is refused without having sent a byte', async (t) => {
  const { listen } = await startApp(t)
  const { request, answer } = openPut(`${await listen()}/v1/uploads/p.zip`, {
    'content-length': '1000000000',
    expect: '100-continue',
  })
  let continued = false
  request.on('continue', () => (continued = true))
  request.flushHeaders()
  assert.equal((await answer).status, 422)
  assert.equal(continued, false)
  request.destroy()
})

test('an upload that turns out too large is answered in the middle, and the connection ends', async (t) => {
  const { listen, uploadFolder } = await startApp(t, { uploadLimits: { maxBytes: 100_000 } })
  const { request, answer } = openPut(`${await listen()}/v1/uploads/p.tar`)
  request.write(Buffer.alloc(200_000))
  const { status, body, closes } = await answer
  assert.deepEqual([status, (JSON.parse(body) as Problem).code, closes], [413, 'PAYLOAD_TOO_LARGE', true])
  request.destroy()
  await waitFor('nothing to be left', async () => (await readdir(uploadFolder)).length === 0)
})

test('an upload that is cut leaves nothing', async (t) => {
  const { listen, uploadFolder } = await startApp(t)
  const { request } = openPut(`${await listen()}/v1/uploads/p.tar`, { 'content-length': '1000000' })
  request.write(Buffer.alloc(500_000))
  await waitFor('the upload to be under way', async () => (await readdir(uploadFolder)).length === 1)
  request.destroy()
  await waitFor('nothing to be left', async () => (await readdir(uploadFolder)).length === 0)
})

test('a shutdown answers an upload that is under way and leaves nothing of it', async (t) => {
  const { app, listen, uploadFolder } = await startApp(t)
  const { request, answer } = openPut(`${await listen()}/v1/uploads/p.tar`)
  request.write(Buffer.alloc(500_000))
  await waitFor('the upload to be under way', async () => (await readdir(uploadFolder)).length === 1)
  await app.close()
  const { status, body } = await answer
  assert.deepEqual([status, (JSON.parse(body) as Problem).code], [503, 'SHUTTING_DOWN'])
  assert.deepEqual(await readdir(uploadFolder), [])
  request.destroy()
})

test('uploads are listed page by page, and deleted', async (t) => {
  const { app, uploadFolder } = await startApp(t)
  const sent: Upload[] = []
  for (const name of ['c.tar', 'a.tar', 'b.tar', 'a.tar']) {
    const answer = await app.inject({ method: 'PUT', url: `/v1/uploads/${name}`, payload: Buffer.from(name) })
    sent.push(answer.json<Upload>())
  }
  const seen: Upload[] = []
  const get = (path: string) => app.inject(path)
  for (let url: string | undefined = '/v1/uploads?pageSize=3'; url !== undefined; ) {
    const page: Awaited<ReturnType<typeof get>> = await get(url)
    seen.push(...page.json<{ items: Upload[] }>().items)
    url = /^<([^>]+)>; rel="next"$/.exec(String(page.headers['link'] ?? ''))?.[1]
  }
  assert.deepEqual(
    seen.map(({ name }) => name),
    ['a.tar', 'a.tar', 'b.tar', 'c.tar'],
  )
  assert.deepEqual(new Set(seen.map(({ id }) => id)), new Set(sent.map(({ id }) => id)))
  assert.equal((await app.inject('/v1/uploads?pageToken=x')).statusCode, 400)
  for (const { id } of sent) {
    assert.equal((await app.inject({ method: 'DELETE', url: `/v1/uploads/${id}` })).statusCode, 204)
    const again = await app.inject({ method: 'DELETE', url: `/v1/uploads/${id}` })
    assert.deepEqual([again.statusCode, again.json<Problem>().code], [404, 'NOT_FOUND'])
  }
  assert.deepEqual(await readdir(uploadFolder), [])
})
