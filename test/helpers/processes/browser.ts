import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Cleanup, defer } from '../cleanup.ts'
import { tempDir } from '../temp-dir.ts'
import { waitFor } from '../wait-for.ts'
import { startProcess } from './processes.ts'
import { findProgram } from './real-tools.ts'

/** Programs that a page can be looked at with. */
export const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome'] as const

export function findBrowser(): string | undefined {
  return BROWSERS.map(findProgram).find((path) => path !== undefined)
}

/** One page of a real browser without a window. */
export interface Browser {
  readonly pid: number
  /** Resolves once the page has been loaded, whatever it was answered with. */
  open(url: string): Promise<void>
  setCookie(cookie: { url: string; name: string; value: string }): Promise<void>
  /** What an expression gives in the page, as its own scripts would see it. */
  evaluate<T>(expression: string): Promise<T>
  /** Another tab is in front of it, as playwright knows none, with `url` in it (default: nothing); gives what brings it back. */
  hide(url?: string): Promise<() => Promise<void>>
  /** What was thrown in the page and caught by nobody, since it was opened. */
  readonly faults: readonly string[]
}

interface Message {
  id?: number
  method?: string
  params?: Record<string, unknown>
  result?: Record<string, unknown>
  error?: { message: string }
}

/** Source: Chrome DevTools Protocol 1.3, domains Page, Network and Runtime. */
export async function startBrowser(t: Cleanup, program: string): Promise<Browser> {
  const profile = await tempDir(t, 'browser')
  // What it would ask of the network by itself is off; its own sandbox needs rights that a build machine may not give.
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run']
  const quiet = ['--disable-background-networking', '--disable-component-update', '--no-proxy-server']
  const place = ['--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank']
  const { pid } = await startProcess(t, program, [...flags, ...quiet, ...place])
  const port = await waitFor('the browser to listen', async () => {
    const [line] = (await readFile(join(profile, 'DevToolsActivePort'), 'utf8').catch(() => '')).split('\n')
    return Number(line) || undefined
  })
  const tabs = `http://127.0.0.1:${port}/json`
  const { id, address } = await waitFor('the page to be there', async () => {
    const pages = (await (await fetch(`${tabs}/list`)).json()) as Record<string, string>[]
    const { id, webSocketDebuggerUrl } = pages.find(({ type }) => type === 'page') ?? {}
    return webSocketDebuggerUrl === undefined ? undefined : { id, address: webSocketDebuggerUrl }
  })
  const faults: string[] = []
  const page = await connect(t, address, faults)
  const { loaded } = page
  for (const domain of ['Page', 'Network', 'Runtime']) await page.call(`${domain}.enable`, {})
  const evaluate = async <T>(expression: string): Promise<T> => {
    const { result } = await page.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    return (result as { value: T }).value
  }
  return {
    pid,
    faults,
    async open(url) {
      faults.length = 0
      const before = loaded()
      await page.call('Page.navigate', { url })
      await waitFor(`${url} to be loaded`, async () => loaded() > before)
    },
    async setCookie(cookie) {
      await page.call('Network.setCookie', cookie)
    },
    evaluate,
    async hide(url = 'about:blank') {
      await fetch(`${tabs}/new?${encodeURIComponent(url)}`, { method: 'PUT' })
      await waitFor('the page to be hidden', async () => evaluate<boolean>('document.hidden'))
      return async () => void (await fetch(`${tabs}/activate/${id}`))
    },
  }
}

async function connect(t: Cleanup, address: string, faults: string[]) {
  const socket = new WebSocket(address)
  const waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>()
  let [sent, loads] = [0, 0]
  socket.addEventListener('message', ({ data }) => {
    const { id, method, params, result, error } = JSON.parse(String(data)) as Message
    if (method === 'Page.loadEventFired') loads += 1
    if (method === 'Runtime.exceptionThrown') faults.push(JSON.stringify(params))
    const caller = waiting.get(id ?? -1)
    if (error) caller?.reject(new Error(error.message))
    else caller?.resolve(result ?? {})
  })
  defer(t, () => socket.close())
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true })
    socket.addEventListener('error', () => reject(new Error(`${address} cannot be reached`)), { once: true })
  })
  return {
    loaded: (): number => loads,
    call(method: string, params: object): Promise<Record<string, unknown>> {
      sent += 1
      const caller = Promise.withResolvers<Record<string, unknown>>()
      waiting.set(sent, caller)
      socket.send(JSON.stringify({ id: sent, method, params }))
      return caller.promise
    },
  }
}
