import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { atEnd } from '../helpers/at-end.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { registryPrograms } from '../helpers/registries/docker-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { serverSentEvents } from '../helpers/streams/sse-client.ts'
import { type FarEnd, startRegistry, startSink, writeCertificate } from './far-end.ts'
import { type Daemon, startDaemon } from './layerd.ts'
import { residentOf } from './measure.ts'

/**
 * npm run bench:big [-- --gib 12 --layers 14000 --json FILE]
 *
 * What must not grow with size or count: one layer of 12 GiB and a package of 14,000 layers go out and come back through
 * the daemon; memory of API and worker over time, the event stream, the pages. Needs disk for the large layer once.
 */
const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '12' },
    layers: { type: 'string', default: '14000' },
    json: { type: 'string' },
  },
})
const MIB = 1024 * 1024
const results: Record<string, string | number> = {}
const tell = (name: string, value: string | number) => {
  results[name] = value
  process.stdout.write(`${name}: ${value}\n`)
}

await using t = new CleanupStack()
const folder = mkdtempSync(join(tmpdir(), 'layerd-bench-big-'))
const forget = atEnd(() => rmSync(folder, { recursive: true, force: true }))
t.after(async () => {
  rmSync(folder, { recursive: true, force: true })
  forget()
})
const certificate = writeCertificate(folder)
const daemon = await startDaemon(t, { folder, roots: [folder] })
if (Number(values.gib) > 0) await largeLayer(Number(values.gib) * 1024 * MIB)
if (Number(values.layers) > 0) await manyLayers(Number(values.layers))
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)

/** A layer that is a hole: it costs no disk until it is pulled. */
async function largeLayer(bytes: number): Promise<void> {
  const path = 'components/layer-0000.tar'
  const digest = hashOfZeros(bytes)
  const built = await buildPackage(folder, {
    name: 'huge',
    layers: 1,
    format: 'directory',
    tamper: { checksums: () => `${digest} ${path}\n` },
  })
  const layer = join(built.path, path)
  truncateSync(layer, 0)
  truncateSync(layer, bytes)
  await using far = await startSink({ tls: false, certificate, blobs: { [`sha256:${digest}`]: layer } })
  await thereAndBack(`one layer of ${bytes / 1024 / MIB} GiB`, { farEnd: far, source: built.path, name: 'huge' })
}

async function manyLayers(count: number): Promise<void> {
  const { path } = await buildPackage(folder, { name: 'many', layers: count, layerBytes: 2048 })
  const [program] = registryPrograms().slice(-1)
  await using far = program
    ? await startRegistry(program, { tls: false, certificate })
    : await startSink({ tls: false, certificate })
  await thereAndBack(`${count} layers`, { farEnd: far, source: path, name: 'many' })
}

async function thereAndBack(what: string, from: { farEnd: FarEnd; source: string; name: string }): Promise<void> {
  const { host } = from.farEnd
  const destination = `oci://${host}/big`
  await measured(`publish of ${what}`, { kind: 'publish', source: `file:${from.source}`, destination })
  await measured(`pull of ${what}`, { kind: 'pull', source: `oci://${host}/big/${from.name}:1.0.0` })
  await daemon.emptyStore()
}

async function measured(what: string, request: Parameters<Daemon['run']>[0]): Promise<void> {
  const samples: { worker: number; api: number }[] = []
  const sampling = setInterval(
    () => samples.push({ worker: residentOf(daemon.workerPid), api: residentOf(daemon.apiPid) }),
    250,
  )
  const cost = await daemon.run(request).finally(() => clearInterval(sampling))
  tell(`${what}, wall and CPU s`, `${cost.wallSeconds.toFixed(1)}, ${cost.cpuSeconds.toFixed(1)}`)
  for (const process of ['worker', 'api'] as const) {
    const quarters = Array.from({ length: 4 }, (_, at) => {
      const part = samples.slice((at * samples.length) / 4, ((at + 1) * samples.length) / 4)
      return (Math.max(0, ...part.map((sample) => sample[process])) / MIB).toFixed(0)
    })
    tell(`${what}, largest memory of the ${process} by quarter of the time, MiB`, quarters.join(', '))
  }
  tell(`${what}, event stream read back`, await readBack(cost.job.id, cost.firstEvent))
  tell(`${what}, slowest page of jobs and of transfers, ms`, await pages(cost.job.id))
}

/** From its first event to its end, as one who was away reads it; a snapshot stands for events that are no longer kept. */
async function readBack(id: string, after: string): Promise<string> {
  const started = performance.now()
  const headers = { 'last-event-id': after }
  let bytes = 0
  let largest = 0
  let events = 0
  for await (const { data, event } of serverSentEvents(
    await fetch(`${daemon.url}/v1/jobs/${id}/events`, { headers }),
  )) {
    bytes += data.length
    largest = Math.max(largest, data.length)
    events += 1
    if (event === 'end') break
  }
  const took = (performance.now() - started).toFixed(0)
  return `${events} events, ${(bytes / MIB).toFixed(2)} MiB, the largest ${(largest / 1024).toFixed(0)} KiB, in ${took} ms`
}

async function pages(id: string): Promise<string> {
  const slowest = { jobs: 0, transfers: 0 }
  for (const [list, path] of [
    ['jobs', '/v1/jobs'],
    ['transfers', `/v1/jobs/${id}/transfers`],
  ] as const) {
    for (let token: string | undefined = ''; token !== undefined; ) {
      const started = performance.now()
      const query = `pageSize=200${token === '' ? '' : `&pageToken=${encodeURIComponent(token)}`}`
      const page = (await (await fetch(`${daemon.url}${path}?${query}`)).json()) as { nextPageToken?: string }
      slowest[list] = Math.max(slowest[list], performance.now() - started)
      token = page.nextPageToken
    }
  }
  return `${slowest.jobs.toFixed(0)}, ${slowest.transfers.toFixed(0)}`
}

function hashOfZeros(bytes: number): string {
  const hash = createHash('sha256')
  const zeros = Buffer.alloc(MIB)
  for (let left = bytes; left > 0; left -= MIB) hash.update(zeros.subarray(0, Math.min(left, MIB)))
  return hash.digest('hex')
}
