import type { Page } from 'playwright-core'

/** What a tab holds, once what nobody needs has been collected. */
export interface Held {
  readonly nodes: number
  readonly listeners: number
  readonly heapBytes: number
}

/** Source: the DevTools protocol's HeapProfiler.collectGarbage and Performance.getMetrics. */
export async function heldBy(page: Page): Promise<Held> {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('Performance.enable')
  // What one collection lets go of may hold what the next one does.
  for (let round = 0; round < 3; round += 1) await devtools.send('HeapProfiler.collectGarbage')
  const { metrics } = await devtools.send('Performance.getMetrics')
  await devtools.detach()
  const valueOf = (name: string) => metrics.find((metric) => metric.name === name)?.value ?? Number.NaN
  return { nodes: valueOf('Nodes'), listeners: valueOf('JSEventListeners'), heapBytes: valueOf('JSHeapUsedSize') }
}
