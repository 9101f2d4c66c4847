import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startApp } from '../../../helpers/streams/http-app.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

type Headers = Record<string, string>

test('only the names that layerd is called by are served', async (t) => {
  const { app } = await startApp(t, { publicUrl: 'https://layerd.example:8443/', listenHost: '127.0.0.2' })
  const status = async (host: string) => {
    const response = await app.inject({ url: '/livez', headers: { host } })
    if (response.statusCode !== 200) assert.equal(response.json().code, 'HOST_NOT_ALLOWED', host)
    return response.statusCode
  }
  const served = ['localhost', 'LOCALHOST:1', '127.0.0.1', '127.0.0.1:8420', '[::1]', '[::1]:8420', '127.0.0.2:8420']
  for (const host of [...served, 'layerd.example', 'layerd.example:8443']) assert.equal(await status(host), 200, host)
  const refused = [
    'evil.example',
    'evil.example:8420',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'user@localhost',
    'localhost/evil',
    'localhost:x',
    'other.layerd.example',
    '127.0.0.3',
    '[::2]',
  ]
  for (const host of refused) assert.equal(await status(host), 421, host)
})

test('pages of other origins are refused, at every address', async (t) => {
  const { app } = await startApp(t, { publicUrl: 'https://layerd.example' })
  const send = (headers: Headers, url = '/livez') =>
    app.inject({ url, headers: { host: '127.0.0.1:8420', ...headers } })
  const own: Headers[] = [
    {},
    { origin: 'http://127.0.0.1:8420' },
    { origin: 'https://layerd.example' },
    { origin: 'http://127.0.0.1:8420', 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
  ]
  for (const headers of own) assert.equal((await send(headers)).statusCode, 200, JSON.stringify(headers))
  const foreign: Headers[] = [
    { origin: 'http://evil.example' },
    { origin: 'http://127.0.0.1:3000' },
    { origin: 'http://127.0.0.1' },
    { origin: 'http://layerd.example' },
    { origin: 'https://layerd.example.evil.example' },
    { origin: 'null' },
    { origin: '' },
    { origin: 'chrome-extension://127.0.0.1:8420' },
    { 'sec-fetch-site': 'cross-site' },
    { origin: 'http://127.0.0.1:8420', 'sec-fetch-site': 'cross-site' },
  ]
  for (const headers of foreign) {
    for (const url of ['/livez', '/v1/jobs', '/no/such/address']) {
      const response = await send(headers, url)
      assert.equal(response.statusCode, 403, JSON.stringify(headers))
      assert.equal(response.json().code, 'ORIGIN_NOT_ALLOWED')
    }
  }
})

test('no answer carries a CORS header', async (t) => {
  const { app } = await startApp(t)
  const preflight = { origin: 'http://localhost:80', 'access-control-request-method': 'POST' }
  for (const method of ['GET', 'OPTIONS'] as const) {
    const { headers } = await app.inject({ method, url: '/v1/jobs', headers: preflight })
    assert.deepEqual(
      Object.keys(headers).filter((name) => name.startsWith('access-control-')),
      [],
    )
  }
})

test('a POST is application/json, or nothing at all', async (t) => {
  const { app } = await startApp(t)
  const url = '/v1/jobs/00000000-0000-7000-8000-000000000000/cancel'
  const others = [
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/jsonx',
  ]
  for (const type of others) {
    for (const payload of type === undefined ? ['{}'] : [undefined, '{}']) {
      const headers: Headers = type === undefined ? {} : { 'content-type': type }
      const response = await app.inject({ method: 'POST', url, headers, ...(payload === undefined ? {} : { payload }) })
      assert.equal(response.statusCode, 415, `${type} ${payload}`)
      assert.equal(response.json().code, 'UNSUPPORTED_MEDIA_TYPE')
    }
  }
  for (const type of ['application/json', 'Application/JSON; charset=utf-8', undefined]) {
    const headers: Headers = type === undefined ? {} : { 'content-type': type }
    const response = await app.inject({ method: 'POST', url, headers })
    assert.equal(response.json().code, 'JOB_NOT_FOUND', type)
  }
  const foreign = await app.inject({ method: 'POST', url, headers: { origin: 'https://elsewhere.example' } })
  assert.equal(foreign.json().code, 'ORIGIN_NOT_ALLOWED')
})

test('where tokens are required Host is not checked, origins are', async (t) => {
  const tokensFile = join(await tempDir(t), 'tokens')
  await writeFile(tokensFile, `ada ${createHash('sha256').update('secret').digest('hex')} *\n`)
  const { app } = await startApp(t, { tokensFile })
  const authorization = 'Bearer secret'
  const url = '/v1/jobs'
  assert.equal((await app.inject({ url, headers: { host: 'any.example', authorization } })).statusCode, 200)
  const foreign = { host: 'any.example', origin: 'http://evil.example', authorization }
  assert.equal((await app.inject({ url, headers: foreign })).statusCode, 403)
})
