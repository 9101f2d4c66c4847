import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { look, openBrowser } from '../helpers/browser/pages.ts'
import { type Scene, startScene } from '../helpers/browser/scene.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { findBrowser } from '../helpers/processes/browser.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false

describe('workers and queues on the dashboard', { skip }, () => {
  const stack = new CleanupStack()
  let scene: Scene
  let browser: Browser
  before(async () => {
    scene = await startScene(stack)
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
