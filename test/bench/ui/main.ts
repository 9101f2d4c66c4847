import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Page } from 'playwright-core'
import { startFleetScene } from '../../helpers/browser/fleet-scene.ts'
import { look, openBrowser } from '../../helpers/browser/pages.ts'
import { CleanupStack } from '../../helpers/cleanup.ts'
import { findBrowser, startBrowser } from '../../helpers/processes/browser.ts'
import { apiOf, childrenOf } from '../../helpers/processes/layerd.ts'
import { newJob } from '../../helpers/redis/jobs.ts'
import { openLayersJob } from '../../helpers/streams/layers-job.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import { cpuOf } from '../measure.ts'
import { quantile } from '../sse/delays.ts'
import { costOf, framesOfScroll, longTasks, watchLongTasks, watchStates } from './tab.ts'

/**
 * npm run bench:ui [-- --seconds 20 --growth 600 --jobs 200 --layers 14000 --only TEXT --json FILE]
 *
 * The dashboard in chromium, before a daemon with 200 jobs that run, each reported four times a second: the first view, what a tab takes that
 * is looked at and one that is not, how soon a change is seen, whether it grows, a job of 14,000 layers, a daemon that ends and comes back.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    growth: { type: 'string', default: '600' },
    jobs: { type: 'string', default: '200' },
    layers: { type: 'string', default: '14000' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
})
const waits = (seconds: string) => () => delay(Number(seconds) * 1000)
const rows: Array<Record<string, unknown>> = []

await using t = new CleanupStack()
const scene = await startFleetScene(t, Number(values.jobs))
const { url, jobs } = scene
const browser = await openBrowser(t)
jobs.start()
try {
  for (let round = 0; round < 3; round += 1) await row('first view', firstView)
  for (const path of ['/', '/jobs', `/jobs/${jobs.ids[0]}`]) {
    await row(`busy ${path}`, () => onPage(path, (page) => costOf(browser, page, waits(values.seconds))))
  }
  await row('seen', seen)
  await row('layers', layers)
  await row('hidden', hidden)
  await row('back', back)
  await row('growth /', () => onPage('/', (page) => costOf(browser, page, waits(values.growth))))
} finally {
  await jobs.stop()
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)

async function row(what: string, measure: () => Promise<Record<string, unknown>>): Promise<void> {
  if (!what.includes(values.only)) return
  const from = jobs.written().reports
  const began = performance.now()
  const figures = await measure()
  const reports = (jobs.written().reports - from) / ((performance.now() - began) / 1000)
  rows.push({ what, ...figures, 'reports/s': Math.round(reports), load: Number(loadavg()[0]?.toFixed(1)) })
  process.stdout.write(`${JSON.stringify(rows.at(-1))}\n`)
}

/** With a browser of its own for the page, whose cache is empty, once jobs are shown. */
async function onPage<T>(path: string, work: (page: Page) => Promise<T>): Promise<T> {
  const { page } = await look(browser, url)
  try {
    await watchLongTasks(page)
    await page.goto(path)
    await page.getByRole('progressbar').first().waitFor()
    // Its pages' parts come a moment later.
    await delay(2000)
    return await work(page)
  } finally {
    await page.context().close()
  }
}

async function firstView(): Promise<Record<string, unknown>> {
  const { page } = await look(browser, url)
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('Network.enable')
  const bytes = { files: 0, answers: 0 }
  const isFile = new Map<string, boolean>()
  devtools.on('Network.responseReceived', ({ requestId, response }) =>
    isFile.set(requestId, !new URL(response.url).pathname.startsWith('/v1/')),
  )
  devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    bytes[isFile.get(requestId) === true ? 'files' : 'answers'] += encodedDataLength
  })
  await page.addInitScript(`new MutationObserver((_, observer) => {
    if (document.querySelector('article [role=progressbar]') === null) return
    observer.disconnect()
    requestAnimationFrame(() => setTimeout(() => (globalThis.shownAt = performance.now())))
  }).observe(document, { subtree: true, childList: true })`)
  await page.goto('/')
  const shown = await waitFor('jobs to be shown', () => page.evaluate<number | undefined>('globalThis.shownAt'))
  await delay(2000)
  await page.context().close()
  return {
    'shown after ms': Math.round(shown),
    'KB of files': bytes.files / 1000,
    'KB of answers': bytes.answers / 1000,
  }
}

/** Jobs that begin and end: from before the write in Redis until the page says so. */
async function seen(): Promise<Record<string, unknown>> {
  return await onPage('/', async (page) => {
    await watchStates(page)
    const began = new Map<string, number>()
    for (let at = 0; at < 60; at += 1) {
      // Those that began first are shown first: of these 50.
      const source = 'file:/packages/zarf-package-brief-amd64-1.0.0.tar.zst'
      const { job } = await jobs.queue.create(newJob({ source }))
      began.set(`/jobs/${job.id} queued`, Date.parse(job.createdAt))
      await delay(250)
      await jobs.queue.cancel(job.id)
    }
    await delay(2000)
    const found = await page.evaluate<Record<string, number>>('globalThis.seen')
    const delays = [...began].flatMap(([key, at]) => (found[key] === undefined ? [] : [found[key] - at]))
    return { of: delays.length, 'p50 ms': quantile(delays, 0.5), 'p95 ms': quantile(delays, 0.95) }
  })
}

async function layers(): Promise<Record<string, unknown>> {
  const count = Number(values.layers)
  const job = await openLayersJob({ queue: jobs.queue, runs: jobs.runs, count })
  const { page } = await look(browser, url)
  await watchLongTasks(page)
  const steps = setInterval(() => void job.step(10).catch(() => {}), 250)
  try {
    const began = performance.now()
    await page.goto(`/jobs/${job.id}`)
    await page.getByRole('heading', { name: new RegExp(`^Layers\\s+${count}$`) }).waitFor()
    const opened = performance.now() - began
    const opening = await longTasks(page)
    const live = await costOf(browser, page, waits(values.seconds))
    const living = await longTasks(page)
    await page.getByRole('searchbox', { name: 'Find layers' }).pressSequentially('layer-0123', { delay: 100 })
    await page.getByRole('heading', { name: /10 of / }).waitFor()
    const finding = await longTasks(page)
    await page.getByRole('searchbox', { name: 'Find layers' }).fill('')
    await page.getByRole('heading', { name: new RegExp(`^Layers\\s+${count}$`) }).waitFor()
    const frames = await framesOfScroll(page, 300, 400)
    const told = (tasks: number[]) => `${tasks.length}, ${Math.max(0, ...tasks)}`
    return {
      'all there after ms': Math.round(opened),
      ...live,
      'long tasks: count, longest ms': `opening ${told(opening)}; live ${told(living)}; finding ${told(finding)}; scrolling ${told(await longTasks(page))}`,
      'frames, p50, p95, max ms': [0.5, 0.95, 1].map((share) => quantile(frames, share).toFixed(0)).join(', '),
      elements: await page.evaluate('document.querySelectorAll("*").length'),
    }
  } finally {
    clearInterval(steps)
    await job.succeed()
    await page.context().close()
  }
}

async function hidden(): Promise<Record<string, unknown>> {
  await using tab = new CleanupStack()
  const page = await startBrowser(tab, findBrowser() ?? '')
  await page.open(`${url}/`)
  await waitFor('jobs to be shown', () => page.evaluate<boolean>("document.querySelector('article') !== null"))
  const cpu = () =>
    childrenOf(page.pid)
      .filter(({ args }) => args.includes('--type=renderer'))
      .reduce((sum, { pid }) => sum + cpuOf(pid), 0)
  const asked = () => page.evaluate<number>("performance.getEntriesByType('resource').length")
  const show = await page.hide()
  await delay(5000)
  const [cpuBefore, askedBefore] = [cpu(), await asked()]
  await waits(values.seconds)()
  const cores = (cpu() - cpuBefore) / Number(values.seconds)
  const requests = (await asked()) - askedBefore
  await show()
  return { 'renderers, cores': Number(cores.toFixed(4)), requests }
}

/** The API ends; from its first answer after that until the page no longer says that it is away. */
async function back(): Promise<Record<string, unknown>> {
  return await onPage('/', async (page) => {
    process.kill(apiOf(scene.daemon.pid).pid, 'SIGKILL')
    await page.getByText('layerd cannot be reached').waitFor()
    await waitFor('the API to answer', async () => (await fetch(`${url}/readyz`)).status > 0)
    const began = performance.now()
    await page.getByText('layerd cannot be reached').waitFor({ state: 'hidden' })
    return { 'right again after ms': Math.round(performance.now() - began) }
  })
}
