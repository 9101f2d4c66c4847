import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { barriers, look, openBrowser, picture } from '../helpers/browser/pages.ts'
import { type Scene, startScene } from '../helpers/browser/scene.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { findBrowser } from '../helpers/processes/browser.ts'
import { publishOver } from '../helpers/processes/layerd.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false

/** What nobody should write into a setting, and somebody will. */
const HOSTILE = `/nowhere/<img src=x onerror=document.title="struck">\u202e${'w'.repeat(3000)}`
const HOSTILE_FILE = '<img src=x onerror=document.title="struck">'
const PASSWORD = 'a-password-that-nobody-may-see'

describe('workers and queues on the dashboard', { skip }, () => {
  const stack = new CleanupStack()
  let scene: Scene
  let browser: Browser
  before(async () => {
    scene = await startScene(stack, {
      LAYERD_STORE_MAX_BYTES: '10GB',
      LAYERD_TRUSTED_ROOTS: HOSTILE,
      LAYERD_TOKEN: PASSWORD,
      HTTPS_PROXY: `http://ann:${PASSWORD}@127.0.0.1:9`,
    })
    browser = await openBrowser(stack)
  })
  after(() => stack[Symbol.asyncDispose]())

  test('a worker is drained and goes on, a queue is paused and goes on', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto('/system')
    const workers = page.getByRole('region', { name: /^Workers/ })
    await workers.getByRole('button', { name: 'Drain' }).click()
    await workers.getByText(/^drain(?:ing|ed)$/).waitFor()
    await workers.getByRole('button', { name: 'Resume' }).click()
    await workers.getByText('running', { exact: true }).waitFor()
    const queue = page
      .getByRole('region', { name: /^Queues/ })
      .getByRole('row')
      .filter({ has: page.getByRole('link') })
      .first()
    await queue.getByRole('button', { name: 'Pause' }).click()
    await queue.getByText('paused by anonymous').waitFor()
    await queue.getByRole('button', { name: 'Resume' }).click()
    await queue.getByText('paused by anonymous').waitFor({ state: 'hidden' })
    assert.deepEqual(complaints, [])
  })

  test('the overview tells what waits for which registry, and what the store and Redis hold of what they may', async () => {
    const { page, complaints } = await look(browser, scene.url)
    const host = 'paused.example'
    await post(`${scene.url}/v1/queues/${host}/pause`, { reason: 'its disk is being replaced' })
    await publishOver(scene.url, join(scene.root, 'zarf-package-coral-amd64-1.0.0.tar.zst'), `${host}/team`)
    await page.goto('/')
    const group = page.getByRole('region', { name: `Waiting for ${host}` })
    await group.getByText(/^1 waiting, the oldest for \d+ (?:s|min)/).waitFor()
    await group.getByText('its disk is being replaced').first().waitFor()
    await group.getByRole('link', { name: 'coral' }).waitFor()
    const store = page.getByRole('region', { name: 'Store' })
    await store.getByText(/^[\d.]+ (?:B|KiB|MiB|GiB) of 9\.3 GiB$/).waitFor()
    await store.getByRole('meter', { name: 'Store', exact: true }).waitFor()
    await store.getByRole('meter', { name: 'Disk of the store' }).waitFor()
    const redis = page.getByRole('region', { name: 'Redis' })
    await redis.getByText('reachable', { exact: true }).waitFor()
    await redis.getByText('append-only file, on the disk before each answer (appendfsync always)').waitFor()
    await redis.getByText('primary').waitFor()
    await redis.getByRole('meter', { name: 'Memory of Redis' }).waitFor()
    await page
      .getByRole('region', { name: 'Traffic' })
      .getByText(/^1 worker\s*, \d of 4 places taken/)
      .waitFor()
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('queues and workers come by the one stream of the tab, and nobody asks for them again and again', async () => {
    const { page, complaints } = await look(browser, scene.url)
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    const { destination } = scene.jobs.running
    const host = String(destination).replace('oci://', '').split('/')[0] ?? ''
    for (const path of ['/system', '/registries', '/']) {
      await page.goto(path)
      await page
        .getByText(path === '/' ? 'places taken' : host)
        .first()
        .waitFor()
    }
    assert.deepEqual(
      asked.filter((path) => ['/v1/queues', '/v1/workers'].includes(path)),
      [],
    )
    await page.goto('/system')
    const workers = page.getByRole('region', { name: /^Workers/ })
    await workers.getByText('running', { exact: true }).waitFor()
    await post(`${scene.url}/v1/workers/${await workerOf(scene)}/drain`, {})
    await workers.getByText(/^drain(?:ing|ed)$/).waitFor()
    await post(`${scene.url}/v1/workers/${await workerOf(scene)}/resume`, {})
    await workers.getByText('running', { exact: true }).waitFor()
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('the store is checked, and what is damaged is told with what to do', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto('/system')
    const panel = page.getByRole('region', { name: 'Store check' })
    await panel.getByText('It was never checked.').waitFor()
    await panel.getByRole('button', { name: 'Check the store' }).click()
    await panel.getByText('All is well.').waitFor()
    await panel.getByText('begun by anonymous').waitFor()
    const { items } = (await (await fetch(`${scene.url}/v1/system/settings`)).json()) as {
      items: Array<{ name: string; value: string }>
    }
    const dataDir = items.find(({ name }) => name === 'LAYERD_DATA_DIR')?.value ?? ''
    await writeFile(join(dataDir, 'store/blobs/sha256', HOSTILE_FILE), 'x')
    await panel.getByRole('button', { name: 'Check the store' }).click()
    await panel.getByText('1 thing is not as it should be.').waitFor()
    await panel.getByText(HOSTILE_FILE).waitFor()
    await panel.getByText('layerd store check --repair').waitFor()
    await picture(page, 'store-check-light-1024')
    assert.deepEqual(await barriers(page), [])
    assert.equal(await page.title(), 'System · layerd')
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('every setting in force is shown, as text, and no secret is', async () => {
    const { page, complaints } = await look(browser, scene.url, { width: 360 })
    await page.goto('/system')
    const settings = page.getByRole('region', { name: /^Settings/ })
    const row = (name: string) => settings.getByRole('listitem').filter({ has: page.getByText(name, { exact: true }) })
    await row('LAYERD_STORE_MAX_BYTES').getByText('10GB', { exact: true }).waitFor()
    await row('LAYERD_STORE_MAX_BYTES').getByText('by the environment', { exact: true }).waitFor()
    await settings.getByText(/^Defaults/).click()
    await row('LAYERD_MAX_JOBS').getByText('20000').waitFor()
    assert.equal(await row('LAYERD_MAX_JOBS').getByText('by the environment').count(), 0)
    await row('LAYERD_TRUSTED_ROOTS').getByText('<img src=x onerror=').waitFor()
    await row('LAYERD_TOKEN').getByText('a secret').waitFor()
    await row('HTTPS_PROXY').getByText('http://127.0.0.1:9/').waitFor()
    assert.equal((await page.content()).includes(PASSWORD), false)
    assert.equal(await page.title(), 'System · layerd')
    await picture(page, 'settings-light-360')
    await settings.getByRole('searchbox', { name: 'Search settings' }).fill('trusted')
    await row('LAYERD_STORE_MAX_BYTES').waitFor({ state: 'detached' })
    const wide = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    assert.ok(Number(wide) <= 0, `${String(wide)} px too wide`)
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('a registry is asked what is wrong with it, and says what was found', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto('/registries')
    await page.getByLabel('Its name').fill(scene.registry)
    await page.getByRole('button', { name: 'Ask it' }).first().click()
    await page.getByText(`${scene.registry} is all right`).waitFor()
    await page.getByText('login', { exact: true }).waitFor()
    assert.deepEqual(complaints, [])
  })

  test('what a job went through is a line of its runs, and its requests can be seen', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto(`/jobs/${scene.jobs.failed.id}`)
    await page.getByRole('region', { name: /^Runs/ }).getByText('It failed').waitFor()
    const requests = page.getByRole('region', { name: /^Requests to the registry/ })
    await requests.getByRole('button', { name: 'Show' }).click()
    await requests.getByText('/v2/team/nobody/manifests/1.0.0').first().waitFor()
    await requests.getByText('404').first().waitFor()
    assert.deepEqual(complaints, [])
  })
})

async function post(url: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  assert.equal(answer.status, 200, await answer.text())
}

async function workerOf({ url }: Scene): Promise<string> {
  const { items } = (await (await fetch(`${url}/v1/workers`)).json()) as { items: Array<{ id: string; state: string }> }
  return items.find(({ state }) => state !== 'lost')?.id ?? ''
}
