import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CleanupStack } from '../helpers/cleanup.ts'
import { endedOver, readyUrl, startLayerd, workersOf } from '../helpers/processes/layerd.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import type { RunningProcess } from '../helpers/processes/processes.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { submit } from './layerd.ts'
import { median } from './measure.ts'

/**
 * npm run bench:jobs [-- --rounds 10 --jobs 500 --json FILE]
 *
 * What a job costs around its bytes: submit rate, time from POST to the first byte at the registry, from SIGKILL of a
 * worker until another one works on its job, from a cancel until the job's sockets are closed.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    jobs: { type: 'string', default: '500' },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const MIB = 1024 * 1024

/** A registry that takes everything, and that may read bodies slowly. */
const far = {
  /** Called with the first byte of the large layer. */
  onByte: () => {},
  hold: false,
  /** Of the newest upload. */
  socket: undefined as Socket | undefined,
}
const server = createServer((request, response) => answer(request, response))
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const host = `127.0.0.1:${(server.address() as AddressInfo).port}`

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { method = '', url = '/' } = request
  // The end of a worker that is killed.
  request.on('error', () => undefined)
  response.on('error', () => undefined)
  if (method === 'GET' && url === '/v2/') return void response.end('{}')
  if (method === 'PATCH' || method === 'PUT' || method === 'POST') {
    request.once('data', () => {
      if (method !== 'PATCH') return
      far.socket = request.socket
      far.onByte()
    })
    // Slowly, and not at all would be too slow: who does not read does not see a connection end.
    if (far.hold && method === 'PATCH') {
      request.on('data', () => {
        request.pause()
        setTimeout(() => request.resume(), 5)
      })
    }
    request.once('end', () => {
      const digest = new URL(url, 'http://far').searchParams.get('digest')
      const location = `/v2/x/blobs/uploads/${Math.random().toString(36).slice(2)}`
      response.writeHead(method === 'PUT' ? 201 : 202, { location, 'docker-content-digest': digest ?? '' }).end()
    })
    return
  }
  response.writeHead(method === 'DELETE' ? 204 : 404, { 'content-length': 0 }).end()
}

const folder = mkdtempSync(join(tmpdir(), 'layerd-bench-jobs-'))
const results: Record<string, string | number> = {}
const tell = (name: string, value: string | number) => {
  results[name] = value
  process.stdout.write(`${name}: ${value}\n`)
}
try {
  await submitRate()
  await timings()
} finally {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)

async function submitRate(): Promise<void> {
  await using t = new CleanupStack()
  const { path } = await buildPackage(folder, { name: 'tiny' })
  const env = { LAYERD_WORKERS: '0', LAYERD_FILE_ROOTS: folder }
  const url = await readyApi(await startLayerd(t, { dataDir: join(folder, 'submit'), env }))
  const count = Number(values.jobs)
  const job = { kind: 'publish' as const, source: `file:${path}`, destination: `oci://${host}/team` }
  for (let warm = 0; warm < 20; warm += 1) await submit(url, job)
  for (const lanes of [1, 16]) {
    const took: number[] = []
    const started = performance.now()
    const lane = async (): Promise<void> => {
      while (took.length < count) {
        const at = performance.now()
        await submit(url, job)
        took.push(performance.now() - at)
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
    const sorted = took.toSorted((a, b) => a - b)
    const rate = took.length / ((performance.now() - started) / 1000)
    tell(`submit, ${lanes} at once, jobs a second`, Math.round(rate))
    tell(
      `submit, ${lanes} at once, p50 and p99 ms`,
      `${ms(median(took))}, ${ms(sorted[Math.floor(took.length * 0.99)])}`,
    )
  }
}

/** The API of a daemon that has no worker, which /readyz would wait for. */
async function readyApi(layerd: Awaited<ReturnType<typeof startLayerd>>): Promise<string> {
  const [, url = ''] = await layerd.waitForOutput(/"url":"(http:[^"]+)"[^\n]*"layerd is up"/)
  await waitFor('the API to answer', async () => (await fetch(`${url}/livez`)).ok)
  return url
}

async function timings(): Promise<void> {
  await using t = new CleanupStack()
  const { path } = await buildPackage(folder, { name: 'held', layers: 1, layerBytes: 256 * MIB, format: 'tar' })
  const env = { LAYERD_WORKERS: '2', LAYERD_FILE_ROOTS: folder }
  const layerd = await startLayerd(t, { dataDir: join(folder, 'timings'), env })
  const url = await readyUrl(layerd)
  const firstByte: number[] = []
  const takeover: number[] = []
  const cancel: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    far.hold = true
    const byte = next((done) => (far.onByte = done))
    const posted = performance.now()
    const job = { kind: 'publish' as const, source: `file:${path}`, destination: `oci://${host}/round${round}` }
    const { id } = await submit(url, job)
    firstByte.push((await byte) - posted)

    const busy = await waitFor('a worker to tell that it runs the job', () => runnerOf(layerd, id))
    const again = next((done) => (far.onByte = done))
    const killed = performance.now()
    process.kill(busy, 'SIGKILL')
    takeover.push((await again) - killed)

    const held = far.socket
    const closed = new Promise<void>((resolve) => void held?.once('close', () => resolve()))
    const canceled = performance.now()
    await fetch(`${url}/v1/jobs/${id}/cancel`, { method: 'POST', headers: { 'content-type': 'application/json' } })
    await closed
    cancel.push(performance.now() - canceled)
    await endedOver(url, id)
    await waitFor(
      'two workers again',
      async () => workersOf(layerd.pid).length === 2 && (await fetch(`${url}/readyz`)).ok,
    )
  }
  tell('POST to the first byte at the registry, ms', spread(firstByte))
  tell('SIGKILL of the worker to the first byte from another, ms', spread(takeover))
  tell('cancel to the closed socket, ms', spread(cancel))
}

/** The time of the next call of what `listen` is given. */
function next(listen: (done: () => void) => void): Promise<number> {
  return new Promise((resolve) => {
    listen(() => {
      listen(() => {})
      resolve(performance.now())
    })
  })
}

/** The process of the worker that began the job's newest run, by layerd's log. */
function runnerOf(layerd: RunningProcess, id: string): number | undefined {
  const begun = layerd
    .output()
    .split('\n')
    .findLast((line) => line.includes(id) && line.includes('run begins'))
  const name = /"worker":"([^"]+)"/.exec(begun ?? '')?.[1]
  return workersOf(layerd.pid).find(({ args }) => name !== undefined && args.includes(name))?.pid
}

function spread(all: readonly number[]): string {
  return `median ${ms(median(all))}, largest ${ms(Math.max(...all))}, of ${all.length}`
}

function ms(value: number | undefined): string {
  return (value ?? Number.NaN).toFixed(value !== undefined && value < 10 ? 1 : 0)
}
