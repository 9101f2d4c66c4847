import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { load } from 'js-yaml'
import { exposition } from '../../../src/metrics/aggregate.ts'
import { createApiMetrics } from '../../../src/metrics/api-metrics.ts'
import { createFleetMetrics } from '../../../src/metrics/fleet-metrics.ts'
import { createHostLabels } from '../../../src/metrics/hosts.ts'
import { createProcessMetrics } from '../../../src/metrics/process-metrics.ts'
import { WorkerFigures } from '../../../src/metrics/worker-figures.ts'
import { remainingOf } from '../../../src/oci/connections.ts'
import { NO_SECRETS } from '../../../src/oci/errors/mask.ts'
import { createWorkerMetrics } from '../../../src/metrics/worker-metrics.ts'
import { defer } from '../../helpers/cleanup.ts'
import { runProcess } from '../../helpers/processes/processes.ts'
import { findProgram } from '../../helpers/processes/real-tools.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const source = (path: string) => new URL(`../../../src/metrics/${path}`, import.meta.url).href

test('a hundred hosts have labels of their own, all others share one', () => {
  const label = createHostLabels()
  for (let at = 0; at < 100; at += 1) assert.equal(label(`r${at}`), `r${at}`)
  assert.deepEqual([label('r100'), label('r7'), label('r101')], ['other', 'r7', 'other'])
})

/** A worker process that counts to `count` and answers its supervisor. */
async function counting(t: Parameters<typeof defer>[0], count: number) {
  const script = join(await tempDir(t), 'worker.mjs')
  await writeFile(
    script,
    `import { Counter, Gauge } from '${import.meta.resolve('prom-client')}'
     import { createProcessMetrics } from '${source('process-metrics.ts')}'
     import { answerFigures } from '${source('worker-figures.ts')}'
     const metrics = createProcessMetrics()
     new Counter({ name: 'done_total', help: 'x', registers: [metrics.registry] }).inc(${count})
     new Gauge({ name: 'running', help: 'x', registers: [metrics.registry], aggregator: 'sum' }).set(1)
     answerFigures(process, async () => [await metrics.json()])
     process.send('up')`,
  )
  const child = fork(script)
  defer(t, () => void child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

test('figures of workers are summed, and counters of one that ended are not lost', async (t) => {
  const figures = new WorkerFigures()
  const [one, other] = [await counting(t, 3), await counting(t, 4)]
  for (const worker of [one, other]) figures.add(worker)
  const text = async () => await exposition(await figures.collect())
  assert.match(await text(), /^done_total 7$/m)
  assert.match(await text(), /^running 2$/m)
  one.kill('SIGKILL')
  await once(one, 'exit')
  assert.match(await text(), /^done_total 7$/m, 'a sum that falls would be taken for a new beginning')
  assert.match(await text(), /^running 1$/m)
})

test('workers that end again and again are one sum', async (t) => {
  const figures = new WorkerFigures()
  const text = async () => await exposition(await figures.collect())
  for (let round = 1; round <= 3; round += 1) {
    const worker = await counting(t, round)
    figures.add(worker)
    await text()
    worker.kill('SIGKILL')
    await once(worker, 'exit')
  }
  assert.match(await text(), /^done_total 6$/m)
  assert.equal((await figures.collect()).length, 1, 'as many as are alive, and the sum of all others')
})

test('without Redis the figures say so, and nothing old', async () => {
  let there = true
  const figures = { jobs: { queued: 2 }, queues: [['r.example', 2]], oldestQueuedMs: 1500, workers: 3, leftUploads: 4 }
  const read = createFleetMetrics({
    queue: { figures: async () => (there ? (figures as never) : Promise.reject(new Error('gone'))) },
    store: {
      space: async () => ({
        usedBytes: 10,
        freeBytes: 20,
        totalBytes: 90,
        reserveBytes: 30,
        low: true,
        promisedBytes: 5,
      }),
    },
    storeMaxBytes: 100,
  })
  const before = await exposition([await read()])
  assert.match(before, /^layerd_fleet_jobs\{state="queued"\} 2$/m)
  assert.match(before, /^layerd_fleet_queue_oldest_seconds 1\.5$/m)
  assert.match(before, /^layerd_fleet_store_bytes\{what="limit"\} 100$/m)
  assert.match(before, /^layerd_fleet_store_bytes\{what="reserved"\} 5$/m)
  assert.match(before, /^layerd_fleet_store_bytes\{what="kept_free"\} 30$/m)
  assert.match(before, /^layerd_fleet_disk_low 1$/m)
  assert.match(before, /^layerd_fleet_left_uploads_jobs 4$/m)
  there = false
  const after = await exposition([await read()])
  assert.match(after, /^layerd_fleet_redis_up 0$/m)
  assert.doesNotMatch(after, /layerd_fleet_jobs\{|layerd_fleet_queue_jobs\{/)
})

test('what a registry says that it lets in still is a figure of its host', async () => {
  const metrics = createProcessMetrics()
  const { hooks } = createWorkerMetrics(metrics, remainingOf)
  const told = (registry: string, headers: Record<string, string>): void => {
    const facts = {
      op: 'look',
      registry,
      method: 'GET',
      url: new URL(`https://${registry}/v2/`),
      mask: NO_SECRETS,
    } as const
    hooks.onAnswer?.(facts, 200, { header: (name) => headers[name] })
  }
  told('docker.io', { 'ratelimit-remaining': '76;w=21600' })
  told('quiet.example', {})
  assert.match(
    await exposition([await metrics.json()]),
    /^layerd_registry_ratelimit_remaining\{registry="docker\.io"\} 76$/m,
  )
  assert.doesNotMatch(await exposition([await metrics.json()]), /quiet\.example/)
})

test('the alerts and the dashboard name figures that there are', async () => {
  const metrics = createProcessMetrics()
  createApiMetrics(metrics)
  createWorkerMetrics(metrics)
  const fleet = createFleetMetrics({
    queue: { figures: async () => Promise.reject(new Error('gone')) },
    store: {
      space: async () => ({ usedBytes: 1, freeBytes: 1, totalBytes: 1, reserveBytes: 1, low: false, promisedBytes: 1 }),
    },
    storeMaxBytes: 1,
  })
  const names = new Set([...(await metrics.json()), ...(await fleet())].map(({ name }) => name))
  const deploy = (name: string) => readFile(new URL(`../../../deploy/${name}`, import.meta.url), 'utf8')
  const [alerts, dashboard] = await Promise.all([deploy('alerts.yaml'), deploy('dashboard.json')])
  load(alerts)
  JSON.parse(dashboard)
  const used = [...`${alerts}${dashboard}`.matchAll(/\b((?:layerd|nodejs|process)_[a-z0-9_]+)(?=[{)[\s])/g)]
  assert.ok(used.length > 20)
  for (const [, name = ''] of used) {
    if (name !== 'layerd_fleet_') assert.ok(names.has(name.replace(/_bucket$/, '')), name)
  }
})

test('promtool takes the alerts', async (t) => {
  if (findProgram('promtool') === undefined) return t.skip('promtool is not on PATH')
  const path = new URL('../../../deploy/alerts.yaml', import.meta.url).pathname
  const { code, output } = await runProcess(t, 'promtool', ['check', 'rules', path])
  assert.equal(code, 0, output)
  return undefined
})
