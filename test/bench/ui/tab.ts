import type { Browser, CDPSession, Page } from 'playwright-core'
import { heldBy } from '../../helpers/browser/tab.ts'
import { cpuOf } from '../measure.ts'

const MIB = 1024 * 1024

/** Processor seconds so far of the browser's processes: those that run pages, and all others (its own, graphics, network). */
export async function cpuOfBrowser(devtools: CDPSession): Promise<{ renderer: number; others: number }> {
  const { processInfo } = await devtools.send('SystemInfo.getProcessInfo')
  const sum = (isRenderer: boolean) =>
    processInfo
      .filter(({ type }) => (type === 'renderer') === isRenderer)
      .reduce((total, { id }) => total + cpuOf(id), 0)
  return { renderer: sum(true), others: sum(false) }
}

/** What a page that is looked at takes while `work` lasts; what it holds before and after it. */
export async function costOf(
  browser: Browser,
  page: Page,
  work: () => Promise<void>,
): Promise<Record<string, string | number>> {
  const devtools = await browser.newBrowserCDPSession()
  const held = await heldBy(page)
  const [before, began] = [await cpuOfBrowser(devtools), performance.now()]
  await work()
  const [after, seconds] = [await cpuOfBrowser(devtools), (performance.now() - began) / 1000]
  const then = await heldBy(page)
  const cores = (from: number, to: number) => Number(((to - from) / seconds).toFixed(3))
  return {
    seconds: Math.round(seconds),
    'renderer, cores': cores(before.renderer, after.renderer),
    'rest of the browser, cores': cores(before.others, after.others),
    'heap MiB': `${(held.heapBytes / MIB).toFixed(1)}, ${(then.heapBytes / MIB).toFixed(1)}`,
    nodes: `${held.nodes}, ${then.nodes}`,
    listeners: `${held.listeners}, ${then.listeners}`,
  }
}

/** Milliseconds between frames while it is scrolled from its top to its end, sorted; the page is longer than the way. */
export function framesOfScroll(page: Page, frames: number, step: number): Promise<number[]> {
  return page.evaluate<number[]>(`(async () => {
    const gaps = []
    let last = performance.now()
    for (let at = 0; at < ${frames}; at += 1) {
      await new Promise(requestAnimationFrame)
      const now = performance.now()
      gaps.push(now - last)
      last = now
      scrollTo(0, at * ${step})
    }
    return gaps.sort((a, b) => a - b)
  })()`)
}

/** Tasks of more than 50 ms since the page was opened, or since this was asked last. `watchLongTasks` comes before the page. */
export function longTasks(page: Page): Promise<number[]> {
  return page.evaluate<number[]>('globalThis.longTasks.splice(0)')
}

export function watchLongTasks(page: Page): Promise<unknown> {
  return page.addInitScript(`globalThis.longTasks = []
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) globalThis.longTasks.push(Math.round(duration))
    }).observe({ type: 'longtask', buffered: true })`)
}

/** When each link of the page to an address first stood in it beside a text, by Date.now(). Installed in an open page. */
export function watchStates(page: Page): Promise<unknown> {
  return page.evaluate(`(() => {
    globalThis.seen = {}
    const look = () => {
      for (const row of document.querySelectorAll('article')) {
        const key = row.querySelector('a').getAttribute('href') + ' ' + row.querySelector('.badge')?.textContent.trim()
        globalThis.seen[key] ??= Date.now()
      }
    }
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true })
  })()`)
}
