import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { redisSocketPath } from '../../../src/daemon/redis-socket.ts'
import { atEnd } from '../../helpers/at-end.ts'
import { CleanupStack } from '../../helpers/cleanup.ts'
import { apiOf, childrenOf, startLayerd } from '../../helpers/processes/layerd.ts'
import { waitFor } from '../../helpers/wait-for.ts'
import { cpuOf, residentOf } from '../measure.ts'
import { quantile } from './delays.ts'
import { type FleetJobs, LABELS, openFleetJobs } from '../../helpers/streams/fleet-jobs.ts'
import type { WatcherReport } from './watcher-process.ts'
import { openWatchers } from './watchers.ts'

/**
 * npm run bench:sse [-- --seconds 20 --jobs 200 --only TEXT --json FILE]
 *
 * Many who watch: 200 jobs that run, reported four times a second each by the scripts that workers use, and 10 changes of other jobs a second. 2,000
 * streams of all jobs in 1, 20 and 200 views; 5,000 and 10,000 streams of single jobs. Delays, the API's processor time and memory.
 */
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    jobs: { type: 'string', default: '200' },
    watchers: { type: 'string', default: '2000' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const MIB = 1024 * 1024

await using t = new CleanupStack()
const folder = mkdtempSync(join(tmpdir(), 'layerd-bench-sse-'))
const forget = atEnd(() => rmSync(folder, { recursive: true, force: true }))
t.after(async () => {
  rmSync(folder, { recursive: true, force: true })
  forget()
})
const dataDir = join(folder, 'data')
const layerd = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '0' } })
const [, url = ''] = await layerd.waitForOutput(/"url":"(http:[^"]+)"[^\n]*"layerd is up"/)
await waitFor('the API to answer', async () => (await fetch(`${url}/livez`)).ok)
const api = apiOf(layerd.pid).pid
const redis = childrenOf(layerd.pid).find(({ args }) => /^\S*(?:redis|valkey)-server /.test(args))?.pid
const port = Number(new URL(url).port)
const jobs = await openFleetJobs(t, {
  socketPath: redisSocketPath(dataDir),
  count: Number(values.jobs),
  changesPerSecond: 10,
})
jobs.start()

const rows: Array<Record<string, string | number>> = []
const count = Number(values.watchers)
try {
  for (const views of [1, 20, 200]) {
    await round(`${count} of all jobs, ${views} views`, fleetPaths(count, views))
  }
  for (const watchers of [5000, 10_000]) {
    await round(`${watchers} of single jobs`, jobPaths(watchers, jobs))
  }
} finally {
  await jobs.stop()
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)

async function round(what: string, paths: readonly string[]): Promise<void> {
  if (!what.includes(values.only)) return
  await using scene = new CleanupStack()
  const opening = performance.now()
  const watchers = await openWatchers(scene, port, paths)
  const openedMs = performance.now() - opening
  await delay(3000)
  watchers.reset()
  const before = { api: cpuOf(api), redis: cpuOf(redis ?? 0), at: performance.now(), ...jobs.written() }
  const earlier = (await watchers.report()).map(({ cpuSeconds }) => cpuSeconds)
  watchers.reset()
  const resident: number[] = []
  for (let at = 0; at < seconds; at += 1) {
    await delay(1000)
    resident.push(residentOf(api) / MIB)
  }
  const wall = (performance.now() - before.at) / 1000
  const after = { api: cpuOf(api), redis: cpuOf(redis ?? 0), ...jobs.written() }
  const reports = await watchers.report()
  const cores = (from: number, to: number) => Number(((to - from) / wall).toFixed(2))
  const third = Math.ceil(resident.length / 3)
  rows.push({
    what,
    'open s': Number((openedMs / 1000).toFixed(1)),
    streams: sum(reports.map(({ open }) => open)),
    ...delaysIn(reports),
    'API cores': cores(before.api, after.api),
    'API µs an event': Math.round(
      ((after.api - before.api) * 1e6) / sum(reports.map(({ delays }) => delays.entries.length + delays.ticks.length)),
    ),
    'Redis cores': cores(before.redis, after.redis),
    "watchers' cores": Number(
      (sum(reports.map(({ cpuSeconds }, at) => cpuSeconds - (earlier[at] ?? 0))) / wall).toFixed(2),
    ),
    'API MiB, first and last third': `${Math.max(...resident.slice(0, third)).toFixed(0)}, ${Math.max(...resident.slice(-third)).toFixed(0)}`,
    'MB/s': Number((sum(reports.map(({ bytes }) => bytes)) / wall / 1e6).toFixed(1)),
    'reports/s': Math.round((after.reports - before.reports) / wall),
    'changes/s': Math.round((after.changes - before.changes) / wall),
    load: Number(loadavg()[0]?.toFixed(1)),
  })
  process.stdout.write(`${JSON.stringify(rows.at(-1))}\n`)
}

function delaysIn(reports: readonly WatcherReport[]): Record<string, string> {
  const told = (what: 'entries' | 'ticks' | 'figures') => {
    const all = reports.flatMap(({ delays }) => delays[what])
    return `${quantile(all, 0.5)}, ${quantile(all, 0.99)} of ${all.length}`
  }
  return { 'entries p50, p99 ms': told('entries'), 'ticks p50, p99 ms': told('ticks'), 'figures ms': told('figures') }
}

/** Filters that show other jobs each: all, those of one label, of two, of three. */
function fleetPaths(watchers: number, views: number): string[] {
  const pairs = LABELS.flatMap((label) => [`label=${label}=0`, `label=${label}=1`])
  const doubles = pairs.flatMap((one, at) => pairs.slice(at + 1).map((other) => `${one}&${other}`))
  const filters = ['', ...pairs, ...doubles.filter((both) => !/label=(.)=.&label=\1=/.test(both))]
  const triples = pairs.slice(0, 4).flatMap((one) => doubles.slice(60).map((both) => `${both}&${one}`))
  const all = [...filters, ...triples.filter((each) => !/label=(.)=.*label=\1=/.test(each))].slice(0, views)
  if (all.length < views) throw new Error(`only ${all.length} views`)
  return Array.from({ length: watchers }, (_, at) => `/v1/events?${all[at % views]}`)
}

function jobPaths(watchers: number, { ids }: FleetJobs): string[] {
  return Array.from({ length: watchers }, (_, at) => `/v1/jobs/${ids[at % ids.length]}/events`)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
