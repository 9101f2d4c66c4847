import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { atEnd } from '../helpers/at-end.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { packageFiles, putPackage, type SyntheticLayer } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { writeHostileArchives } from './hostile-archives.ts'
import { DEFINITIONS } from './hostile-definitions.ts'
import { startHostileRegistry } from './hostile-far-ends.ts'
import { REQUESTS } from './hostile-requests.ts'
import { type Daemon, startDaemon, submit } from './layerd.ts'
import { median } from './measure.ts'

/**
 * npm run bench:hostile [-- --rounds 3 --only TEXT]
 *
 * How long each input from outside, at its limit (docs/security.md), holds the event loops of a real layerd: API and worker.
 * Counted is the processor time of the loop's thread in one turn, for a busy machine holds it too. Medians of the rounds.
 * Ends with 1 when a loop is held for more than 50 ms.
 */
const MAX_HOLD_MS = 50
const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, only: { type: 'string', default: '' } },
})

interface Input {
  what: string
  /** Resolves with what came of it: a status, a code, a state. */
  send: (daemon: Daemon) => Promise<string>
}

await using t = new CleanupStack()
const folder = mkdtempSync(join(tmpdir(), 'layerd-bench-hostile-'))
const forget = atEnd(() => rmSync(folder, { recursive: true, force: true }))
t.after(async () => {
  rmSync(folder, { recursive: true, force: true })
  forget()
})
const probes = join(folder, 'probes')
const packages = join(folder, 'packages')
for (const each of [probes, packages]) mkdirSync(each)
const probe = fileURLToPath(new URL('./loop-probe.ts', import.meta.url))
const daemon = await startDaemon(t, {
  folder,
  roots: [packages],
  env: { NODE_OPTIONS: `--import=${probe}`, LOOP_PROBE_FOLDER: probes },
})
process.on('uncaughtExceptionMonitor', () => process.stderr.write(daemon.output().slice(-3000)))
const registry = await startMemoryRegistry()
t.after(() => registry.close())

let failed = 0
process.stdout.write(
  `${'input'.padEnd(62)} ${'API ms'.padStart(8)} ${'worker ms'.padStart(9)} ${'wall ms'.padStart(8)}  what came of it\n`,
)
for (const input of [
  ...registryInputs(),
  ...(await hostileAnswers()),
  ...requestInputs(),
  ...archiveInputs(),
  ...(await storedInputs()),
]) {
  if (input.what.includes(values.only)) await measure(input)
}
process.stdout.write(`${failed === 0 ? 'all' : `all but ${failed}`} held each loop for at most ${MAX_HOLD_MS} ms\n`)
process.exitCode = failed === 0 ? 0 : 1

async function measure({ what, send }: Input): Promise<void> {
  const api: number[] = []
  const worker: number[] = []
  const wall: number[] = []
  let came = ''
  for (let round = 0; round < Number(values.rounds); round += 1) {
    await holds()
    const started = performance.now()
    came = await send(daemon)
    wall.push(performance.now() - started)
    const held = await holds()
    api.push(held.api)
    worker.push(held.worker)
  }
  const [inApi, inWorker] = [median(api), median(worker)]
  const over = Math.max(inApi, inWorker) > MAX_HOLD_MS
  if (over) failed += 1
  const figures = `${inApi.toFixed(1).padStart(8)} ${inWorker.toFixed(1).padStart(9)} ${median(wall).toFixed(0).padStart(8)}`
  process.stdout.write(`${what.padEnd(62)} ${figures}  ${came}${over ? '  TOO LONG' : ''}\n`)
}

/** The longest of each process since it was asked last. */
async function holds(): Promise<{ api: number; worker: number }> {
  const ask = async (pid: number): Promise<number> => {
    const path = join(probes, String(pid))
    rmSync(path, { force: true })
    process.kill(pid, 'SIGUSR2')
    const told = await waitFor(`the probe of ${pid}`, () => readFileSync(path, 'utf8'), { intervalMs: 2 })
    return (JSON.parse(told) as { cpu: number }).cpu
  }
  return { api: await ask(daemon.apiPid), worker: await ask(daemon.workerPid) }
}

async function ask(path: string, init: RequestInit = {}): Promise<string> {
  const answer = await fetch(`${daemon.url}${path}`, init)
  const text = await answer.text()
  const code = /"code":"([A-Z_]+)"/.exec(text.slice(0, 2000))?.[1]
  return `${answer.status} ${answer.ok ? `${text.length} characters` : (code ?? '')}`
}

async function ended(request: Parameters<typeof submit>[1]): Promise<string> {
  const { id } = await submit(daemon.url, request)
  const job = await waitFor(
    `job ${id}`,
    async () => {
      const found = (await (await fetch(`${daemon.url}/v1/jobs/${id}`)).json()) as {
        done: boolean
        state: string
        error?: { code: string }
      }
      return found.done && found
    },
    { timeoutMs: 180_000, intervalMs: 100 },
  )
  return `${job.state} ${job.error?.code ?? ''}`
}

/** Each definition is looked at by the API, and pulled by the worker. */
function registryInputs(): Input[] {
  const inputs = Object.entries(DEFINITIONS).map(([what, text], at): Input => {
    const place = { repository: `team/d${at}`, tag: '1' }
    return lookAndPull(what, place, () =>
      packageFiles({ 'components/one.tar': Buffer.from('one') }, withComponents(text())),
    )
  })
  const layers = (count: number) => () =>
    packageFiles(
      Object.fromEntries(Array.from({ length: count }, (_, at) => [`components/${at}.tar`, Buffer.from(`${at}`)])),
    )
  return [
    ...inputs,
    lookAndPull('a manifest of 14,000 layers', { repository: 'team/layers', tag: '1' }, layers(14_000)),
  ]
}

function lookAndPull(what: string, place: { repository: string; tag: string }, files: () => SyntheticLayer[]): Input {
  let made = false
  return {
    what,
    async send() {
      if (!made) putPackage(registry, place, files())
      made = true
      const reference = `oci://${registry.host}/${place.repository}:${place.tag}`
      const looked = await ask(`/v1/remote-packages?ref=${encodeURIComponent(reference)}&architecture=amd64`)
      const options = { architecture: 'amd64', components: ['*'] }
      return `${looked}; ${await ended({ kind: 'pull', source: reference, options })}`
    },
  }
}

async function hostileAnswers(): Promise<Input[]> {
  const { host, repositories } = await startHostileRegistry(t)
  return repositories.map((repository) => {
    const tag = /^(?:tags|link)/.test(repository) ? '' : ':1'
    const path = `/v1/remote-packages?ref=${encodeURIComponent(`oci://${host}/${repository}${tag}`)}`
    return { what: `a registry's answer: ${repository}`, send: () => ask(path) }
  })
}

function requestInputs(): Input[] {
  return REQUESTS.map(({ what, path, ...init }) => ({ what: `a request: ${what}`, send: () => ask(path, init) }))
}

function archiveInputs(): Input[] {
  return writeHostileArchives(packages).map(({ what, path }) => ({
    what,
    send: () => ended({ kind: 'publish', source: `file:${path}`, destination: `oci://${registry.host}/hostile` }),
  }))
}

/** What the API serves of a package in the store. */
async function storedInputs(): Promise<Input[]> {
  const names = Array.from(
    { length: 9000 },
    (_, at) => `- {name: ${'a'.repeat(240)}${at}, required: false, images: [i${at}]}\n`,
  )
  const [place, files] = [{ repository: 'team/stored', tag: '1' }, { 'components/one.tar': Buffer.from('one') }]
  const digest = putPackage(
    registry,
    place,
    packageFiles(files, `documentation: {a: b}\ncomponents:\n${names.join('')}`),
  )
  await ended({ kind: 'pull', source: `oci://${registry.host}/team/stored:1`, options: { architecture: 'amd64' } })
  const globs = Array.from({ length: 100 }, (_, at) => `*${'a*'.repeat(60)}${at}`)
  // 46 terms times 9,000 names of 243 characters: just within what is taken.
  const within = encodeURIComponent(`*${'a*'.repeat(22)}b`)
  const paths = [
    '',
    `/archive?components=${within}`,
    '/definition',
    '/checksums',
    '/images',
    '/archive',
    `/archive?components=${globs.map(encodeURIComponent).join(',')}`,
  ]
  return [
    { what: 'the list of packages', send: () => ask('/v1/packages') },
    ...paths.map((path) => ({
      what: `9,000 components in the store: ${path.slice(0, 25)}`,
      send: () => ask(`/v1/packages/${digest}${path}`, { headers: { accept: 'application/json, */*' } }),
    })),
    {
      what: 'a pull of 9,000 components by 100 globs',
      send: () =>
        ended({
          kind: 'pull',
          source: `oci://${registry.host}/team/stored:1`,
          options: { architecture: 'amd64', components: globs },
        }),
    },
  ]
}

function withComponents(definition: string): string {
  return /^components:/m.test(definition) ? definition : `components: [{name: one}]\n${definition}`
}
