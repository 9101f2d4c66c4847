import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import process from 'node:process'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import {
  dropFile,
  type EmptyScene,
  slowUploads,
  startEmptyScene,
  writeHostileFiles,
} from '../helpers/browser/empty-scene.ts'
import { barriers, look, openBrowser, picture, THEMES, WIDTHS } from '../helpers/browser/pages.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { findBrowser } from '../helpers/processes/browser.ts'
import { apiOf } from '../helpers/processes/layerd.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false
const MIB = 1024 * 1024

describe('the page for a new job', { skip }, () => {
  const stack = new CleanupStack()
  let scene: EmptyScene
  let browser: Browser
  /** So large that its upload can be cut. */
  let large: string

  before(async () => {
    scene = await startEmptyScene(stack)
    browser = await openBrowser(stack)
    const apart = await tempDir(stack, 'apart')
    large = (await buildPackage(apart, { name: 'whale', layers: 2, layerBytes: 6 * MIB })).path
  })
  after(() => stack[Symbol.asyncDispose]())

  const destination = () => `oci://${scene.registry}/team`

  async function plainHttp(page: Page) {
    await page.getByText('Options', { exact: false }).first().click()
    await page.getByRole('checkbox', { name: 'Plain HTTP to the registry' }).check()
  }

  async function jobs(query = ''): Promise<{ id: string; options: { dryRun?: boolean } }[]> {
    return ((await (await fetch(`${scene.url}/v1/jobs${query}`)).json()) as { items: never[] }).items
  }

  test('a file that is dropped is sent and published, once however often it is clicked', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto('/new')
    const bytes = await readFile(scene.small.path)
    await dropFile(page, '.drop', { name: scene.small.fileName, bytes })
    await page.getByText('sent', { exact: true }).waitFor()
    await page.getByLabel('Registry', { exact: true }).fill(destination())
    await plainHttp(page)
    await page.getByRole('button', { name: 'Publish' }).dblclick()
    await page.waitForURL(/\/jobs\/[0-9a-f-]+$/)
    await page.getByText('succeeded', { exact: true }).first().waitFor()
    assert.equal((await jobs()).length, 1)
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('an upload goes on by itself when the API was killed', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto('/new')
    const begun = uploadsBegun(page)
    const fast = await slowUploads(page, MIB)
    await page.getByLabel('Package to send').setInputFiles(large)
    await sentAbove(page, 10)
    process.kill(apiOf(scene.daemon.pid).pid, 'SIGKILL')
    await page.getByText('the connection is cut; it goes on by itself').waitFor()
    await picture(page, 'new-cut')
    assert.deepEqual(await barriers(page), [])
    await fast()
    await page.getByText('sent', { exact: true }).waitFor()
    assert.equal(begun(), 1)
    await page.getByRole('radio', { name: /whale/ }).waitFor()
    await page.context().close()
  })

  test('after a reload the page says what to do, and the file that is chosen again goes on', async () => {
    const { page } = await look(browser, scene.url)
    page.on('dialog', (dialog) => void dialog.accept())
    const other = (
      await buildPackage(await tempDir(stack, 'other'), { name: 'orca', layers: 2, layerBytes: 6 * MIB, seed: 9 })
    ).path
    await page.goto('/new')
    const begun = uploadsBegun(page)
    const fast = await slowUploads(page, MIB)
    await page.getByLabel('Package to send').setInputFiles(other)
    await sentAbove(page, 10)
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByText('paused', { exact: true }).waitFor()
    await page.getByRole('button', { name: 'Go on' }).click()
    await sentAbove(page, 20)
    await page.reload()
    await page.getByRole('heading', { name: 'Broken off' }).waitFor()
    await page.getByText('Choose the same file again').waitFor()
    await picture(page, 'new-broken-off')
    assert.deepEqual(await barriers(page), [])
    await fast()
    await page.getByLabel('Package to send').setInputFiles(other)
    await page.getByText('sent', { exact: true }).waitFor()
    assert.equal(begun(), 1)
    await page.context().close()
  })

  test('what is refused stands beside its field', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto('/new?kind=pull')
    const reference = page.getByLabel('Reference')
    await reference.fill('oci://registry.example/Team/<b>nemo</b>:1.2.0')
    await page.getByRole('button', { name: 'Pull' }).click()
    await page.getByText('Not accepted: see what is marked above').waitFor()
    assert.equal(await reference.getAttribute('aria-invalid'), 'true')
    const said = await page
      .locator(`[id="${(await reference.getAttribute('aria-describedby'))?.split(' ')[0]}"]`)
      .innerText()
    assert.match(said, /Team/)
    await picture(page, 'new-refused')
    assert.deepEqual(await barriers(page), [])
    // The browser itself says that an answer was 4xx.
    assert.deepEqual(
      complaints.filter((one) => !one.includes('status of 4')),
      [],
    )
    await page.context().close()
  })

  test('what will happen is told before it does, and nothing is written', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto(`/new?destination=${encodeURIComponent(`oci://${scene.registry}/elsewhere`)}`)
    await page.getByText('From layerd’s folders').click()
    await page.getByRole('searchbox', { name: 'Search the folders' }).fill('coral')
    await page.getByRole('radio', { name: /coral/ }).check()
    await plainHttp(page)
    await page.getByRole('button', { name: 'What will happen' }).click()
    await page.getByRole('region', { name: 'What will happen' }).getByText('to move').waitFor()
    await picture(page, 'new-plan')
    assert.deepEqual(await barriers(page), [])
    const catalog = await (await fetch(`http://${scene.registry}/v2/_catalog`)).text()
    assert.doesNotMatch(catalog, /elsewhere/)
    await waitFor('the look to be in no list', async () => !(await jobs()).some(({ options }) => options.dryRun))
    await page.getByRole('button', { name: 'What will happen' }).click()
    await page.getByRole('region', { name: 'What will happen' }).getByText('to move').waitFor()
    await waitFor('the second one to be in none', async () => !(await jobs()).some(({ options }) => options.dryRun))
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.waitForURL(/\/jobs\/[0-9a-f-]+$/)
    await page.getByText('succeeded', { exact: true }).first().waitFor()
    await page.context().close()
  })

  test('a password is sent with its job, and stands nowhere afterwards', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto(`/new?kind=copy&source=${encodeURIComponent(`oci://${scene.registry}/team/coral:1.0.0`)}`)
    await page.getByLabel('Registry', { exact: true }).fill('registry.example/ä')
    await page.getByText('Log-in for this job alone').click()
    const passwords = page.getByLabel('Password or token')
    for (const one of await passwords.all()) assert.equal(await one.getAttribute('type'), 'password')
    assert.equal(await passwords.count(), 2)
    await page.getByLabel('User').last().fill('ann')
    await passwords.last().fill('sécret')
    const [request] = await Promise.all([
      page.waitForRequest((one) => one.method() === 'POST' && one.url().endsWith('/v1/jobs')),
      page.getByRole('button', { name: 'Copy', exact: true }).click(),
    ])
    const sent = JSON.parse(Buffer.from(request.headers()['x-registry-auth'] ?? '', 'base64url').toString()) as object
    assert.deepEqual(sent, { username: 'ann', password: 'sécret', serveraddress: 'registry.example' })
    const kept = await page.evaluate('JSON.stringify([localStorage, sessionStorage, location.href, history.state])')
    assert.doesNotMatch(String(kept), /cret/)
    await page.context().close()
  })

  for (const theme of THEMES) {
    test(`axe finds nothing, ${theme}, whatever files are called, and nothing is wider than the window`, async () => {
      await writeHostileFiles(scene.root)
      for (const width of WIDTHS) {
        const { page, complaints } = await look(browser, scene.url, { theme, width })
        for (const { name, path, open } of VIEWS) {
          await page.goto(path)
          await page.getByRole('heading', { level: 1, name: 'New job' }).waitFor()
          await open(page)
          await picture(page, `new-${name}-${theme}-${width}`)
          assert.deepEqual(await barriers(page), [], `${name} ${theme} ${width}`)
          const wide = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
          assert.ok(Number(await page.evaluate(wide)) <= 0, `${name} at ${width}`)
        }
        assert.doesNotMatch(await page.title(), /struck/)
        assert.deepEqual(complaints, [])
        await page.context().close()
      }
    })
  }
})

const VIEWS: readonly { name: string; path: string; open: (page: Page) => Promise<unknown> }[] = [
  { name: 'publish', path: '/new', open: (page) => page.getByText('Drop a package here').waitFor() },
  {
    name: 'files',
    path: '/new?kind=publish',
    open: async (page) => {
      await page.getByText('From layerd’s folders').click()
      await page.getByText('onerror').first().waitFor()
      for (const summary of await page.locator('summary').all()) await summary.click()
      await page.getByRole('button', { name: 'Add a label' }).click()
    },
  },
  { name: 'copy', path: '/new?kind=copy', open: (page) => page.getByText('Log-in for this job alone').click() },
]

async function sentAbove(page: Page, percent: number): Promise<void> {
  const bar = page.getByRole('progressbar', { name: /^Sending/ })
  await waitFor(
    `more than ${percent} % to be sent`,
    async () => Number(await bar.getAttribute('aria-valuenow')) > percent,
  )
}

/** How many uploads a page has begun anew. */
function uploadsBegun(page: Page): () => number {
  let count = 0
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith('/v1/uploads')) count += 1
  })
  return () => count
}
