import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { look, openBrowser } from '../helpers/browser/pages.ts'
import { becomes, pullOver, type Scene, startScene } from '../helpers/browser/scene.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { findBrowser } from '../helpers/processes/browser.ts'
import { endedOver } from '../helpers/processes/layerd.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false
/** More steps than any page has things to step to. */
const MOST_STEPS = 60

/** What has the focus, and whether that can be seen. */
interface Focused {
  name: string
  seen: boolean
}

/** In the page, whose types the tests don't have. */
const FOCUSED = `(() => {
  const at = document.activeElement
  const { outlineStyle, outlineWidth } = getComputedStyle(at)
  const said = [at.getAttribute('aria-label'), ...[...(at.labels ?? [])].map((label) => label.textContent), at.textContent]
  const name = said.map((text) => (text ?? '').replace(/\\s+/g, ' ').trim()).find((text) => text !== '') ?? ''
  return { name, seen: at === document.body || (outlineStyle !== 'none' && Number.parseFloat(outlineWidth) > 0) }
})()`

function focused(page: Page): Promise<Focused> {
  return page.evaluate(FOCUSED)
}

/** Steps on by Tab until what is called so has the focus; each step is seen. */
async function stepTo(page: Page, name: RegExp): Promise<void> {
  const passed: string[] = []
  for (let step = 0; step < MOST_STEPS; step += 1) {
    await page.keyboard.press('Tab')
    const at = await focused(page)
    assert.ok(at.seen, `the focus on "${at.name}" can't be seen`)
    if (name.test(at.name)) return
    passed.push(at.name)
  }
  assert.fail(`nothing called ${name} was stepped to: ${passed.join(' | ')}`)
}

async function follow(page: Page, name: RegExp): Promise<void> {
  await stepTo(page, name)
  await page.keyboard.press('Enter')
}

describe('the dashboard without a mouse', { skip }, () => {
  const stack = new CleanupStack()
  let scene: Scene
  let browser: Browser

  before(async () => {
    scene = await startScene(stack)
    browser = await openBrowser(stack)
  })
  after(() => stack[Symbol.asyncDispose]())

  test('a job is found and canceled, and each page that comes is told and begun at its beginning', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto('/')
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
    await follow(page, /^Jobs$/)
    await page.getByRole('status', { name: 'Page' }).getByText('Jobs').waitFor()
    await page.getByRole('link', { name: /whale/ }).waitFor()
    await follow(page, /^whale/)
    await page.getByRole('heading', { level: 1, name: /whale/ }).waitFor()
    assert.equal(await page.evaluate('document.activeElement.id'), 'main')
    await follow(page, /^Cancel$/)
    await page.getByText('canceled', { exact: true }).first().waitFor()
    await becomes(scene.url, scene.jobs.running, 'canceled')
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('the first step leads past what is on every page', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto('/system')
    await page.getByRole('heading', { level: 1, name: 'System' }).waitFor()
    await page.keyboard.press('Tab')
    assert.match((await focused(page)).name, /^To the content$/)
    await page.keyboard.press('Enter')
    assert.equal(await page.evaluate('document.activeElement.id'), 'main')
    await page.context().close()
  })

  test('what deletes a package asks, keeps the focus while it does, and lets go at Escape', async () => {
    const { id } = await pullOver(scene.url, `oci://${scene.registry}/team/coral:1.0.0`)
    const { result } = await endedOver(scene.url, id)
    const { page } = await look(browser, scene.url)
    await page.goto(`/packages/${result?.digest}`)
    await page.getByRole('heading', { level: 1, name: /coral/ }).waitFor()
    await follow(page, /^Delete$/)
    const dialog = page.getByRole('dialog', { name: /^Delete coral/ })
    await dialog.waitFor()
    await stepTo(page, /^Keep it$/)
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    assert.match((await focused(page)).name, /^Delete$/)
    await page.keyboard.press('Enter')
    await follow(page, /^Delete it$/)
    await page.getByRole('heading', { level: 1, name: 'Packages' }).waitFor()
    await page.context().close()
  })
})
