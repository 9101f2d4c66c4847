import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { brotliCompressSync } from 'node:zlib'
import { startApp, type TestAppOptions } from '../../../helpers/streams/http-app.ts'
import { tokenLine, tokensFileWith } from '../../../helpers/streams/tokens.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
const SHELL = '<!doctype html><title>the shell</title>'
const SCRIPT = 'console.log("a page")'

/** An API with something built in the place of a dashboard. */
async function withDashboard(t: TestContext, options: TestAppOptions = {}) {
  const dashboard = await tempDir(t, 'ui')
  await mkdir(join(dashboard, 'assets'))
  await writeFile(join(dashboard, 'index.html'), SHELL)
  await writeFile(join(dashboard, 'assets/index-AbC123.js'), SCRIPT)
  await writeFile(join(dashboard, 'assets/index-AbC123.js.br'), brotliCompressSync(SCRIPT))
  await writeFile(join(dashboard, '.sources'), 'secret')
  return startApp(t, { ...options, dashboard })
}

test('browsers get the dashboard at each address of its pages, others what they always got', async (t) => {
  const { app } = await withDashboard(t)
  for (const url of [
    '/',
    '/jobs',
    '/jobs/01a22d15-7718-71c8-aae6-c1f9cee7cca2',
    '/system',
    '/jobs?state=failed',
    '/new',
    '/packages',
    `/packages/sha256:${'a'.repeat(64)}`,
  ]) {
    const page = await app.inject({ url, headers: BROWSER })
    assert.deepEqual([page.statusCode, page.body], [200, SHELL], url)
    assert.match(String(page.headers['content-type']), /^text\/html/)
    assert.equal(page.headers['cache-control'], 'no-cache')
    const policy = String(page.headers['content-security-policy'])
    assert.match(policy, /default-src 'self'; .*frame-ancestors 'none'/)
    assert.doesNotMatch(policy, /unsafe|https?:|data:|\*/)
    assert.equal(page.headers['referrer-policy'], 'no-referrer')
  }
  const text = await app.inject('/')
  assert.match(String(text.headers['content-type']), /^text\/plain/)
  assert.match(String(text.headers['vary']), /\baccept\b/)
  assert.match(String((await app.inject({ url: '/', headers: BROWSER })).headers['vary']), /\baccept\b/)
  assert.equal((await app.inject({ url: '/', headers: { accept: 'application/json' } })).json().name, 'layerd')
})

test('its pages shadow nothing of the API, and what is not there is a problem for browsers too', async (t) => {
  const { app } = await withDashboard(t)
  for (const url of ['/v1/nothing', '/v1/jobs/nothing', '/assets/nothing.js', '/nothing', '/jobs/a/b']) {
    const { statusCode, headers } = await app.inject({ url, headers: BROWSER })
    assert.equal(statusCode, 404, url)
    assert.match(String(headers['content-type']), /^application\/problem\+json/, url)
  }
  for (const url of ['/v1/jobs', '/version', '/livez', '/docs/', '/metrics']) {
    assert.notEqual((await app.inject({ url, headers: BROWSER })).body, SHELL, url)
  }
})

test('what has its hash in its name is kept for ever, and comes as small as it was made', async (t) => {
  const { app } = await withDashboard(t)
  const url = '/assets/index-AbC123.js'
  const plain = await app.inject(url)
  assert.equal(plain.body, SCRIPT)
  assert.match(String(plain.headers['content-type']), /javascript/)
  assert.match(String(plain.headers['cache-control']), /max-age=31536000, immutable/)
  const small = await app.inject({ url, headers: { 'accept-encoding': 'gzip, br' } })
  assert.equal(small.headers['content-encoding'], 'br')
  assert.deepEqual(small.rawPayload, brotliCompressSync(SCRIPT))
  assert.match(String(small.headers['vary']), /accept-encoding/)
})

test('nothing but its files is served, however the path is written', async (t) => {
  const { app } = await withDashboard(t)
  for (const name of [
    '..%2f.sources',
    '%2e%2e%2f.sources',
    '.sources',
    '..%5c.sources',
    '%00',
    '....//index.html',
    'a'.repeat(900),
  ]) {
    const { statusCode, body } = await app.inject(`/assets/${name}`)
    assert.ok(statusCode >= 400 && statusCode < 500, `${name}: ${statusCode}`)
    assert.doesNotMatch(body, /secret/)
  }
})

test('the shell needs no token, what it shows does; a page of another site may link to it and no more', async (t) => {
  const tokensFile = await tokensFileWith(t, tokenLine('ada', '*', 'ada-token'))
  const { app } = await withDashboard(t, { tokensFile })
  for (const url of ['/', '/jobs', '/assets/index-AbC123.js']) {
    assert.equal((await app.inject({ url, headers: BROWSER })).statusCode, 200, url)
  }
  assert.equal((await app.inject({ url: '/v1/jobs', headers: BROWSER })).statusCode, 401)
  const link = {
    ...BROWSER,
    'sec-fetch-site': 'cross-site',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'document',
  }
  assert.equal((await app.inject({ url: '/jobs/abc', headers: link })).statusCode, 200)
  const frame = { ...link, 'sec-fetch-dest': 'iframe' }
  assert.equal((await app.inject({ url: '/jobs/abc', headers: frame })).statusCode, 403)
})

test('without Redis the shell is there all the same', async (t) => {
  const { app, jobs } = await withDashboard(t)
  await jobs.redis.kill()
  assert.equal((await app.inject({ url: '/jobs', headers: BROWSER })).body, SHELL)
})
