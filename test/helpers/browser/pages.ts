import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import process from 'node:process'
import { type Browser, chromium, type Page } from 'playwright-core'
import { type Cleanup, defer } from '../cleanup.ts'
import { findBrowser } from '../processes/browser.ts'

export const THEMES = ['light', 'dark'] as const
export type Theme = (typeof THEMES)[number]
/** A telephone, a small window, a large one; px. */
export const WIDTHS = [360, 1024, 1600] as const

/** Nothing that a busy machine can't do: what never comes fails there too. */
const PATIENCE_MS = 120_000

export interface LookOptions {
  theme?: Theme
  width?: number
  height?: number
}

export interface Looked {
  page: Page
  /** What the browser complained of: violations of the content policy, faults of scripts, what could not be loaded. */
  complaints: string[]
}

export async function openBrowser(t: Cleanup): Promise<Browser> {
  const executablePath = findBrowser()
  if (executablePath === undefined) throw new Error('there is no chromium')
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] })
  defer(t, () => browser.close())
  return browser
}

/** A person with a browser of their own at `url`. */
export async function look(browser: Browser, url: string, options: LookOptions = {}): Promise<Looked> {
  const { theme = 'light', width = 1024, height = 900 } = options
  const context = await browser.newContext({ baseURL: url, colorScheme: theme, viewport: { width, height } })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type()) || isBusy(message.text())) return
    complaints.push(`${message.text()} ${message.location().url}`)
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return { page, complaints }
}

/** On a busy machine Redis may take more than the 1.5 s that are waited for it; the page says so itself. */
function isBusy(complaint: string): boolean {
  return complaint.includes('the server responded with a status of 503')
}

const require = createRequire(import.meta.url)
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

/** What axe finds wrong, a line each: the rule, and where. Source: WCAG 2.2 AA. */
export async function barriers(page: Page): Promise<string[]> {
  const axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8')
  return page.evaluate(`${axe}
    axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) =>
      violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ target }) => target.join(' ')).join(' | ')))`)
}

/** Where LAYERD_TEST_PICTURES names a folder, how it looks. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['LAYERD_TEST_PICTURES']
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}
