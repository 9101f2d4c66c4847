import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type TestContext, test } from 'node:test'
import { sharedFixture } from '../helpers/packages/fixtures.ts'
import { file, inspectedPackage } from '../helpers/packages/inspected.ts'
import { BROWSERS, findBrowser, startBrowser } from '../helpers/processes/browser.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** Tries all that a page can, and tells in its title what came of it. */
const HOSTILE = `<!doctype html><title>begins</title><body><script>
const found = {}
const attempt = async (name, task) => {
  try { found[name] = await task() } catch (error) { found[name] = 'refused: ' + error.name }
}
const loaded = (element, attribute) => new Promise((resolve) => {
  element.onload = () => resolve('reached')
  element.onerror = () => resolve('refused')
  element[attribute] = '/v1/jobs'
  document.body.append(element)
})
const socket = () => new Promise((resolve) => {
  const made = new WebSocket('ws://' + location.host + '/v1/jobs')
  made.onopen = () => resolve('reached')
  made.onerror = () => resolve('refused')
})
;(async () => {
  found.origin = self.origin
  await attempt('cookie', () => document.cookie)
  await attempt('storage', () => localStorage.length)
  await attempt('database', () => (indexedDB.open('x'), 'reached'))
  await attempt('fetch', async () => (await fetch('/v1/jobs')).status)
  await attempt('fetchBlind', async () => (await fetch('/v1/jobs', { mode: 'no-cors' })).type)
  await attempt('post', async () => (await fetch('/v1/jobs', { method: 'POST', body: '{}' })).status)
  await attempt('elsewhere', async () => (await fetch('http://' + location.host.replace('127.0.0.1', 'localhost') + '/v1/jobs')).status)
  await attempt('beacon', () => navigator.sendBeacon('/v1/jobs', 'x'))
  await attempt('xhr', () => new Promise((resolve) => {
    const request = new XMLHttpRequest()
    request.onload = () => resolve(request.status)
    request.onerror = () => resolve('refused')
    request.open('GET', '/v1/jobs')
    request.send()
  }))
  await attempt('image', () => loaded(new Image(), 'src'))
  await attempt('script', () => loaded(document.createElement('script'), 'src'))
  await attempt('style', () => loaded(Object.assign(document.createElement('link'), { rel: 'stylesheet' }), 'href'))
  await attempt('socket', socket)
  await attempt('window', () => String(open('/v1/jobs')))
  await attempt('worker', () => (new Worker('/v1/jobs'), 'made'))
  await attempt('form', () => {
    const form = Object.assign(document.createElement('form'), { action: '/v1/jobs', method: 'post' })
    document.body.append(form)
    form.submit()
    return 'submitted'
  })
  document.title = JSON.stringify(found)
})()
</script>`

function browserOr(t: TestContext): string | undefined {
  const program = findBrowser()
  if (program === undefined) t.skip(`not on PATH: ${BROWSERS.join(', ')}`)
  return program
}

/** An API that tells which routes it answered, with a package in an upload. */
async function serving(t: TestContext, path: string) {
  const answered: string[] = []
  const observer = {
    onAnswered: ({ route, method, status }: { route: string; method: string; status: number }) =>
      answered.push(`${method} ${route} ${status}`),
    watchStreams: () => undefined,
    exposition: async () => ({ text: '', type: 'text/plain' }),
  }
  const { app, listen } = await startApp(t, { observer })
  const payload = await readFile(path)
  const sent = await app.inject({ method: 'PUT', url: `/v1/uploads/${basename(path)}`, payload })
  const base = await listen()
  return { base, pages: `${base}/v1/uploads/${sent.json<{ id: string }>().id}/package/sboms`, answered }
}

test('a page out of a package runs its scripts, and reaches neither cookies nor anything of layerd', async (t) => {
  const program = browserOr(t)
  if (program === undefined) return
  const sboms = [file('sbom-viewer-evil.html', HOSTILE)]
  const { path } = await inspectedPackage(t, { bulk: 4096, sboms })
  const { base, pages, answered } = await serving(t, path)
  // It ends first: connections that it keeps for later would hold up the end of the API.
  const browser = await startBrowser(t, program)
  await browser.setCookie({ url: base, name: 'session', value: 'secret' })
  await browser.open(`${base}/`)
  assert.equal(await browser.evaluate('document.cookie'), 'session=secret', "layerd's own page would have it")
  assert.equal(
    await browser.evaluate("fetch('/v1/jobs', { mode: 'no-cors' }).then(() => 1, () => 0)"),
    0,
    'it too may fetch nothing',
  )

  answered.length = 0
  await browser.open(`${pages}/sbom-viewer-evil.html`)
  const told = await waitFor('the page to have tried all', async () => {
    const title = await browser.evaluate<string>('document.title')
    return title.startsWith('{') ? title : undefined
  })
  const found = JSON.parse(told) as Record<string, unknown>
  assert.equal(found['origin'], 'null', 'an origin of its own')
  for (const name of ['cookie', 'storage', 'database', 'fetch', 'fetchBlind', 'post', 'elsewhere', 'worker']) {
    assert.match(String(found[name]), /^refused/, name)
  }
  for (const name of ['xhr', 'image', 'script', 'style']) assert.equal(found[name], 'refused', name)
  assert.equal(found['window'], 'null')
  const own = 'GET /v1/uploads/:upload/package/sboms/:name 200'
  const reached = () => answered.filter((answer) => answer !== own && !answer.endsWith(' none 404'))
  assert.deepEqual(reached(), [], 'whatever it says of itself: nothing arrived')

  // The one thing that it may do is to leave.
  await browser.evaluate("void (location.href = '/v1/jobs')")
  await waitFor('the refusal', async () =>
    (await browser.evaluate<string>('document.body.innerText')).includes('ORIGIN_NOT_ALLOWED'),
  )
  assert.deepEqual(reached(), ['GET /v1/jobs 403'])
})

test("zarf's own viewer pages show their SBOM in that sandbox", async (t) => {
  const path = sharedFixture('with-sboms/zarf-package-nemo-amd64-1.2.0.tar.zst')
  if (!existsSync(path)) return t.skip(`${path} is not there`)
  const program = browserOr(t)
  if (program === undefined) return
  const { pages } = await serving(t, path)
  const browser = await startBrowser(t, program)
  await browser.open(`${pages}/sbom-viewer-localhost_5601_apps_anchor_1.0.html`)
  const text = await browser.evaluate<string>('document.body.innerText')
  assert.deepEqual(browser.faults, [])
  assert.match(text, /anchor/)
})
