import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { startApp } from '../../../helpers/streams/http-app.ts'
import { tokenLine, tokensFileWith } from '../../../helpers/streams/tokens.ts'

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
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'anything' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
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

test('a link from elsewhere opens a page, and nothing that is none', async (t) => {
  const { app } = await startApp(t)
  const link = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', accept: 'text/html,*/*;q=0.8' }
  const status = async (url: string, changes: Headers = {}, method: 'GET' | 'POST' = 'GET') => {
    const headers = { host: '127.0.0.1:8420', 'sec-fetch-site': 'cross-site', ...link, ...changes }
    return (await app.inject({ method, url, headers })).statusCode
  }
  for (const site of ['cross-site', 'same-site']) {
    for (const url of ['/', '/docs/', '/docs/errors'])
      assert.equal(await status(url, { 'sec-fetch-site': site }), 200, url)
  }
  const others = [
    '/livez',
    '/metrics',
    '/openapi.yaml',
    '/v1/jobs',
    '/v1/remote-packages?ref=oci://r.example/a:1',
    '/x',
  ]
  for (const url of others) assert.equal(await status(url), 403, url)
  for (const dest of ['iframe', 'frame', 'embed', 'object', 'script', 'empty', '']) {
    assert.equal(await status('/', { 'sec-fetch-dest': dest }), 403, dest)
  }
  assert.equal(await status('/', { 'sec-fetch-mode': 'no-cors' }), 403)
  assert.equal(await status('/', {}, 'POST'), 403)
  assert.equal(await status('/', { origin: 'http://evil.example' }), 403)
})

/** What is answered to these bytes, headers and all. */
async function answerTo(url: string, request: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8')
  socket.end(request)
  let answer = ''
  for await (const chunk of socket) answer += chunk as string
  return answer
}

test('one Host, and a target that is in its name', async (t) => {
  const { listen } = await startApp(t)
  const url = await listen()
  const { host } = new URL(url)
  const code = async (target: string, ...hosts: string[]) => {
    const lines = hosts.map((name, at) => `${at === 0 ? 'Host' : 'hOST'}: ${name}\r\n`).join('')
    const answer = await answerTo(url, `GET ${target} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`)
    return `${answer.slice(9, 12)} ${/"code":"([A-Z_]+)"/.exec(answer)?.[1] ?? ''}`.trim()
  }
  assert.equal(await code('/livez', host), '200')
  assert.equal(await code(`http://${host}/livez`, host), '200')
  assert.equal(await code(`HTTP://${host.toUpperCase()}/livez`, host), '200')
  assert.equal(await code('/livez', host, host), '400 REQUEST_INVALID')
  assert.equal(await code('/livez', host, 'evil.example'), '400 REQUEST_INVALID')
  for (const target of [
    'http://evil.example/livez',
    'http://localhost/livez',
    `http://user@${host}/livez`,
    'ftp://x/livez',
  ]) {
    assert.equal(await code(target, host), '421 HOST_NOT_ALLOWED', target)
  }
})

test('no answer may be taken for another type than it says', async (t) => {
  const { app, listen } = await startApp(t)
  const url = await listen()
  const asked = [
    '/',
    '/livez',
    '/docs/',
    '/docs/errors',
    '/docs/static/index.html',
    '/openapi.yaml',
    '/v1/jobs',
    '/no',
    '/%',
  ]
  for (const path of asked) assert.equal((await app.inject(path)).headers['x-content-type-options'], 'nosniff', path)
  const refused = await app.inject({ url: '/v1/jobs', headers: { host: 'evil.example' } })
  assert.equal(refused.headers['x-content-type-options'], 'nosniff')
  assert.match(await answerTo(url, 'no HTTP\r\n\r\n'), /^x-content-type-options: nosniff\r$/im)
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
  const tokensFile = await tokensFileWith(t, tokenLine('ada', '*', 'secret'))
  const { app } = await startApp(t, { tokensFile })
  const authorization = 'Bearer secret'
  const url = '/v1/jobs'
  assert.equal((await app.inject({ url, headers: { host: 'any.example', authorization } })).statusCode, 200)
  const foreign = { host: 'any.example', origin: 'http://evil.example', authorization }
  assert.equal((await app.inject({ url, headers: foreign })).statusCode, 403)
})
