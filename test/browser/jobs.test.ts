import assert from 'node:assert/strict'
import process from 'node:process'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { barriers, look, openBrowser, picture, THEMES, WIDTHS } from '../helpers/browser/pages.ts'
import { becomes, type Scene, startScene } from '../helpers/browser/scene.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { findBrowser } from '../helpers/processes/browser.ts'
import { apiOf } from '../helpers/processes/layerd.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false

describe('the dashboard, with a running, a waiting, a failed and a finished job', { skip }, () => {
  const stack = new CleanupStack()
  let scene: Scene
  let browser: Browser

  before(async () => {
    scene = await startScene(stack)
    browser = await openBrowser(stack)
  })
  after(() => stack[Symbol.asyncDispose]())

  const pages = () => {
    const { running, waiting, failed, finished } = scene.jobs
    const jobs = Object.entries({ running, waiting, failed, finished })
    return [
      { name: 'overview', path: '/', heading: 'Overview', shows: 'MANIFEST_NOT_FOUND' },
      { name: 'registries', path: '/registries', heading: 'Registries', shows: 'Known' },
      { name: 'system', path: '/system', heading: 'System', shows: 'worker-1' },
      { name: 'jobs', path: '/jobs', heading: 'Jobs', shows: 'whale' },
      ...jobs.map(([name, { id }]) => ({ name: `job-${name}`, path: `/jobs/${id}`, heading: undefined, shows: id })),
    ]
  }

  for (const theme of THEMES) {
    test(`axe finds nothing on any page, ${theme}, and nothing is wider than the window`, async () => {
      for (const width of WIDTHS) {
        const { page, complaints } = await look(browser, scene.url, { theme, width })
        for (const { name, path, heading, shows } of pages()) {
          await page.goto(path)
          await page.getByRole('heading', { level: 1, ...(heading === undefined ? {} : { name: heading }) }).waitFor()
          await page.getByText(shows).first().waitFor()
          await picture(page, `${name}-${theme}-${width}`)
          assert.deepEqual(await barriers(page), [], `${name} ${theme} ${width}`)
          const wide = await page.evaluate(
            'document.documentElement.scrollWidth - document.documentElement.clientWidth',
          )
          assert.ok(Number(wide) <= 0, `${name} at ${width}`)
        }
        assert.deepEqual(complaints, [])
        await page.context().close()
      }
    })
  }

  test('the overview tells what moves, what waits and why, and what failed', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto('/')
    const running = page.getByRole('region', { name: /^Running/ })
    await running.getByText('whale').first().waitFor()
    await page.getByRole('progressbar', { name: /whale/ }).waitFor()
    await page
      .getByRole('region', { name: /^Failed/ })
      .getByText('MANIFEST_NOT_FOUND')
      .waitFor()
    await page
      .getByText(/refused the connection|cannot be reached/)
      .first()
      .waitFor()
    await page.context().close()
  })

  test('a job is found by its words and canceled from its page, which says so by itself', async () => {
    const { page, complaints } = await look(browser, scene.url)
    await page.goto('/jobs')
    await page.getByRole('searchbox', { name: 'Search jobs' }).fill('whale')
    await page.waitForURL(/[?&]q=whale/)
    const rows = page.getByRole('table', { name: 'Jobs' }).getByRole('link')
    await rows.filter({ hasText: 'whale' }).first().waitFor()
    await waitFor('one row alone to be left', async () => (await rows.count()) === 1)
    await rows.first().click()
    await page.getByRole('heading', { level: 1, name: /whale/ }).waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByText('canceled', { exact: true }).first().waitFor()
    await becomes(scene.url, scene.jobs.running, 'canceled')
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.getByText('running', { exact: true }).first().waitFor()
    assert.deepEqual(complaints, [])
    await page.context().close()
  })

  test('a daemon that is killed is said to be away, and the page is right again when it is back', async () => {
    const { page } = await look(browser, scene.url)
    await page.goto('/')
    await page.getByText('whale').first().waitFor()
    const api = apiOf(scene.daemon.pid)
    process.kill(api.pid, 'SIGKILL')
    await page.getByText('layerd cannot be reached').waitFor()
    await page.getByText('layerd cannot be reached').waitFor({ state: 'hidden' })
    await page
      .getByRole('region', { name: /^Running/ })
      .getByText('whale')
      .first()
      .waitFor()
    await page.context().close()
  })
})
