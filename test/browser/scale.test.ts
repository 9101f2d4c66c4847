import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { type FleetScene, startFleetScene } from '../helpers/browser/fleet-scene.ts'
import { look, openBrowser } from '../helpers/browser/pages.ts'
import { heldBy } from '../helpers/browser/tab.ts'
import { CleanupStack, defer } from '../helpers/cleanup.ts'
import { type Browser as RawBrowser, findBrowser, startBrowser } from '../helpers/processes/browser.ts'
import { newJob } from '../helpers/redis/jobs.ts'
import { openLayersJob } from '../helpers/streams/layers-job.ts'
import { waitFor } from '../helpers/wait-for.ts'

const skip = findBrowser() === undefined ? 'no chromium is on PATH: the dashboard is not looked at' : false

/** More than the overview shows. */
const RUNNING = 60
/** As many as fit into a manifest of 4 MiB. */
const LAYERS = 14_000
/** What a window of 900 px shows, and what lies around it. */
const MOST_ROWS = 60

describe('the dashboard, with much to show', { skip }, () => {
  const stack = new CleanupStack()
  let scene: FleetScene
  let browser: Browser

  before(async () => {
    scene = await startFleetScene(stack, RUNNING)
    browser = await openBrowser(stack)
    scene.jobs.start()
  })
  after(async () => {
    await scene.jobs.stop()
    await stack[Symbol.asyncDispose]()
  })

  const opened = async (tab: CleanupStack) => {
    const looked = await look(browser, scene.url)
    defer(tab, () => looked.page.context().close())
    return looked
  }
  /** Each of the jobs has been reported so many times more. */
  const reported = async (times: number): Promise<void> => {
    const from = scene.jobs.written().reports
    await waitFor(`${times} reports of each job`, () => scene.jobs.written().reports >= from + times * RUNNING)
  }
  const openStreams = async (): Promise<number> => {
    const text = await (await fetch(`${scene.url}/metrics`)).text()
    return Number(/^layerd_event_streams (\d+)$/m.exec(text)?.[1])
  }

  test('a job of 14,000 layers: all are read once, few stand on the page, all can be found and reached', async () => {
    const job = await openLayersJob({ ...scene.jobs, count: LAYERS })
    await using tab = new CleanupStack()
    const { page, complaints } = await opened(tab)
    const asked: string[] = []
    page.on('request', (request) => asked.push(new URL(request.url()).pathname))
    await page.goto(`/jobs/${job.id}`)
    await page.getByRole('heading', { name: /^Layers\s+14000$/ }).waitFor()
    assert.equal(asked.filter((path) => path.endsWith('/transfers')).length, 1)
    const rows = page.getByRole('table', { name: 'Layers' }).locator('[data-index]')
    const isFirst = (text: string) => waitFor(`${text} to be first`, async () => (await firstOf(rows)).includes(text))
    assert.ok((await rows.count()) <= MOST_ROWS)

    await job.step(3)
    await isFirst('active')
    await page.getByText('3 of 14000 layers done').waitFor()

    await page.getByRole('searchbox', { name: 'Find layers' }).fill('layer-0123')
    await page.getByRole('heading', { name: /^Layers\s+10 of 14000$/ }).waitFor()
    assert.equal(await rows.count(), 10)
    await page.getByRole('searchbox', { name: 'Find layers' }).fill('')

    await page.getByRole('combobox', { name: 'Order' }).selectOption('in order')
    await isFirst('layer-00000')
    await scrolledTo(page, 'layer-13999')
    assert.ok((await rows.count()) <= MOST_ROWS)

    await page.getByRole('combobox', { name: 'Which layers' }).selectOption('done')
    await page.getByRole('heading', { name: /^Layers\s+3 of 14000$/ }).waitFor()
    await job.succeed()
    await page.getByText('succeeded', { exact: true }).first().waitFor()
    assert.deepEqual(complaints.filter(notBusy), [])
  })

  for (const { path, heading, most } of [
    { path: '/', heading: 'Overview', most: 50 },
    { path: '/jobs', heading: 'Jobs', most: MOST_ROWS },
  ]) {
    test(`${heading} with many running jobs shows a window of them, by one stream, and does not grow`, async () => {
      await using tab = new CleanupStack()
      const { page, complaints } = await opened(tab)
      await page.goto(path)
      const bars = page.getByRole('progressbar')
      await bars.first().waitFor()
      assert.ok((await bars.count()) <= most, `${await bars.count()} bars`)
      await waitFor('one stream alone to be open', async () => (await openStreams()) === 1)
      await reported(4)
      const first = await heldBy(page)
      await reported(20)
      const then = await heldBy(page)
      assert.ok(then.nodes <= first.nodes + 50, `${first.nodes} nodes, then ${then.nodes}`)
      assert.ok(then.listeners <= first.listeners + 10, `${first.listeners} listeners, then ${then.listeners}`)
      assert.equal(await openStreams(), 1)
      assert.deepEqual(complaints.filter(notBusy), [])
    })
  }

  const shown = (page: RawBrowser, what: string, selector: string) =>
    waitFor(`${what} to be shown`, () =>
      page.evaluate<boolean>(`document.querySelector(${JSON.stringify(selector)}) !== null`),
    )

  test('a hidden tab has no stream and asks nothing; when it is back it goes on after the last it heard', async () => {
    await using tab = new CleanupStack()
    const page = await startBrowser(tab, findBrowser() ?? '')
    // The stream is among them once it has been closed.
    const asked = () =>
      page.evaluate<string[]>(
        "performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => !name.endsWith('/v1/events'))",
      )
    await page.open(`${scene.url}/jobs`)
    await shown(page, 'what runs', '[role=progressbar]')
    await waitFor('its stream to be open', async () => (await openStreams()) === 1)
    const show = await page.hide()
    await waitFor('its stream to be closed', async () => (await openStreams()) === 0)
    const before = await asked()
    const source = 'file:/packages/zarf-package-late-amd64-1.0.0.tar.zst'
    const { job } = await scene.jobs.queue.create(newJob({ source }))
    await reported(20)
    assert.deepEqual(await asked(), before)
    await show()
    // It is told of the change itself: of what came meanwhile a list would say nothing new.
    await shown(page, 'that a job has come', '.above button')
    await page.evaluate("document.querySelector('.above button').click()")
    await shown(page, 'it', `a[href="/jobs/${job.id}"]`)
    await scene.jobs.queue.cancel(job.id)
    assert.deepEqual(page.faults, [])
  })

  test('what ended while it was away for longer than changes are kept is shown as it is', async () => {
    await using tab = new CleanupStack()
    const page = await startBrowser(tab, findBrowser() ?? '')
    const source = 'file:/packages/zarf-package-gone-amd64-1.0.0.tar.zst'
    const { job } = await scene.jobs.queue.create(newJob({ source }))
    await page.open(`${scene.url}/`)
    await shown(page, 'that it waits', `a[href="/jobs/${job.id}"]`)
    const show = await page.hide()
    await waitFor('its stream to be closed', async () => (await openStreams()) === 0)
    await scene.jobs.queue.cancel(job.id)
    assert.ok((await scene.redis.xtrim(createKeys().fleet, 'MAXLEN', 0)) > 0)
    await show()
    await waitFor('it to wait no more', () =>
      page.evaluate<boolean>(`!document.querySelector('a[href="/jobs/${job.id}"]')`),
    )
    assert.deepEqual(page.faults, [])
  })

  test('of eight tabs the one in front has connections, and each is right when it comes there', async () => {
    await using tab = new CleanupStack()
    const page = await startBrowser(tab, findBrowser() ?? '')
    await page.open(`${scene.url}/jobs`)
    await shown(page, 'what runs', '[role=progressbar]')
    const [first = '', second = ''] = scene.jobs.ids
    const others = ['/', `/jobs/${first}`, '/registries', '/packages', '/new', '/system', `/jobs/${second}`]
    let show = async (): Promise<void> => {}
    for (const path of others) show = await page.hide(`${scene.url}${path}`)
    // A browser has six connections to a host: the last one, a job's page, takes two.
    await waitFor('the streams of the one in front alone to be open', async () => (await openStreams()) === 2)
    await show()
    await waitFor('its stream alone to be open', async () => (await openStreams()) === 1)
    await page.evaluate(
      `[...document.querySelectorAll('.chip')].find((chip) => chip.textContent.trim() === 'failed').click()`,
    )
    await shown(page, 'that none has failed', '.none')
    assert.deepEqual(page.faults, [])
  })
})

/** A machine with much else to do has Redis answer late: that is said, and asked for again. */
function notBusy(complaint: string): boolean {
  return !complaint.includes('503')
}

async function firstOf(rows: ReturnType<Page['locator']>): Promise<string> {
  return (await rows.locator('nth=0').textContent()) ?? ''
}

/** As a person does who wants to see the end of it. */
async function scrolledTo(page: Page, text: string): Promise<void> {
  await waitFor(`${text} to be reached`, async () => {
    await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)')
    return page.getByText(text).isVisible()
  })
}
