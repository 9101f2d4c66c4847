import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Cleanup, defer } from '../helpers/cleanup.ts'
import { BROWSERS, findBrowser, startBrowser } from '../helpers/processes/browser.ts'
import { withPackage } from '../helpers/streams/http-jobs.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { tokenLine, tokensFileWith } from '../helpers/streams/tokens.ts'

/** An API with tokens, which tells what it answered. */
async function serving(t: TestContext) {
  const tokensFile = await tokensFileWith(t, tokenLine('ada', '*', 'ada-token'))
  const answered: string[] = []
  const observer = {
    onAnswered: ({ route, method, status }: { route: string; method: string; status: number }) =>
      void answered.push(`${method} ${route} ${status}`),
    watchStreams: () => undefined,
    exposition: async () => ({ text: '', type: 'text/plain' }),
  }
  const { listen, body } = await withPackage(t, { tokensFile, observer })
  return { base: await listen(), answered, body }
}

/** Pages of somebody else on this machine. */
async function otherPort(t: Cleanup): Promise<string> {
  const server = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<p>other</p>'),
  )
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  defer(t, () => void server.close())
  defer(t, () => server.closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What a page of it does in vain; the title says when all has been tried. */
const ATTEMPTS = (base: string, job: string) => `(async () => {
  const send = (path, request) =>
    fetch('${base}' + path, { credentials: 'include', ...request }).then((answer) => answer.type, () => 'refused')
  const found = []
  for (const mode of ['cors', 'no-cors']) {
    found.push(await send('/v1/jobs', { mode }))
    found.push(await send('/v1/jobs', { mode, method: 'POST', body: '{}' }))
    found.push(await send('/v1/session', { mode, method: 'POST', body: '{"token":"ada-token"}' }))
  }
  found.push(await send('/v1/session', { method: 'DELETE' }))
  found.push(await send('/v1/jobs', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }))
  const source = new EventSource('${base}/v1/jobs/${job}/events', { withCredentials: true })
  found.push(await new Promise((resolve) => { source.onopen = () => resolve('open'); source.onerror = () => resolve('refused') }))
  source.close()
  return found.join(' ')
})()`

const FORM = (base: string) => `
  const form = Object.assign(document.createElement('form'), { action: '${base}/v1/session', method: 'post' })
  document.body.append(form)
  form.submit()`

test('a real browser logs in, watches and logs out; a page of another port can do nothing with it', async (t) => {
  const program = findBrowser()
  if (program === undefined) return t.skip(`not on PATH: ${BROWSERS.join(', ')}`)
  const { base, answered, body } = await serving(t)
  const elsewhere = await otherPort(t)
  // It ends first: connections that it keeps for later would hold up the end of the API.
  const browser = await startBrowser(t, program)
  const json = (method: string, path: string, payload?: object) =>
    browser.evaluate<{ status: number; body: Record<string, string> }>(`fetch('${path}', {
      method: '${method}',
      ${payload === undefined ? '' : `headers: { 'content-type': 'application/json' }, body: ${JSON.stringify(JSON.stringify(payload))},`}
    }).then(async (answer) => ({ status: answer.status, body: await answer.json().catch(() => ({})) }))`)

  await browser.open(`${base}/docs`)
  assert.equal((await json('GET', '/v1/session')).status, 401)
  assert.equal((await json('POST', '/v1/session', { token: 'wrong' })).status, 401)
  assert.equal((await json('POST', '/v1/session', { token: 'ada-token' })).status, 201)
  assert.equal(await browser.evaluate('document.cookie'), '', 'no script sees it')
  assert.equal((await json('GET', '/v1/session')).body['principal'], 'ada')
  const made = await json('POST', '/v1/jobs', body)
  assert.equal(made.status, 202)
  await browser.evaluate(`new Promise((resolve, reject) => {
    window.ended = 0
    window.source = new EventSource('/v1/jobs/${made.body['id']}/events')
    source.onerror = () => (window.ended += 1)
    for (const type of ['snapshot', 'message']) source.addEventListener(type, () => resolve())
  })`)
  assert.equal(await browser.evaluate('window.ended'), 0)

  await browser.open(`${elsewhere}/`)
  answered.length = 0
  const found = await browser.evaluate<string>(ATTEMPTS(base, made.body['id'] ?? ''))
  assert.deepEqual(
    found.split(' ').filter((one) => one !== 'refused' && one !== 'opaque'),
    [],
  )
  await browser.evaluate(FORM(base))
  await waitFor('the refusal of the form', async () =>
    (await browser.evaluate<string>('document.body.innerText')).includes('ORIGIN_NOT_ALLOWED'),
  )
  assert.ok(answered.length >= 6, answered.join())
  assert.deepEqual(
    answered.filter((answer) => !/ 40[345]$/.test(answer)),
    [],
  )

  await browser.open(`${base}/docs`)
  assert.equal((await json('GET', '/v1/session')).body['principal'], 'ada', 'nobody logged out')
  await browser.evaluate(`new Promise((resolve) => {
    window.source = new EventSource('/v1/jobs/${made.body['id']}/events')
    window.over = new Promise((done) => (source.onerror = () => { if (source.readyState === EventSource.CLOSED) done('closed') }))
    source.addEventListener('snapshot', () => resolve())
  })`)
  assert.equal((await json('DELETE', '/v1/session')).status, 204)
  assert.equal((await json('GET', '/v1/session')).status, 401)
  assert.equal(await browser.evaluate('window.over'), 'closed', 'the stream ended, and was not opened again')
})
