import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { cpus, freemem, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { atEnd } from '../helpers/at-end.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { type RegistryProgram, registryPrograms } from '../helpers/registries/docker-registry.ts'
import { findProgram } from '../helpers/processes/real-tools.ts'
import { type SinkOptions, startRegistry, startSink, writeCertificate } from './far-end.ts'
import { copyTasks } from './copy.ts'
import { createInputs } from './inputs.ts'
import { startDaemon } from './layerd.ts'
import { PEERS } from './peers.ts'
import { type Row, table } from './rows.ts'
import { targetLines } from './targets.ts'
import { blobTasks, packageTasks, smallTasks, type Start, type TaskContext } from './tasks.ts'

/**
 * npm run bench [-- --rounds 3 --size 2GiB --small 5000 --only package,blob,small,copy,push,pull,sink,registry --json FILE]
 *
 * layerd as it runs, beside the programs people use today, in one run, in turn. What is not on PATH is named and left
 * out. Works in /dev/shm where there is room, so that a disk's moods are in no figure; TMPDIR chooses another place.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    size: { type: 'string', default: '2GiB' },
    small: { type: 'string', default: '5000' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const bytes = parseSize(values.size)
const log = (line: string) => process.stdout.write(`${line}\n`)
const chosen = <N extends string>(...names: N[]): ReadonlySet<N> => {
  const given = new Set(values.only.split(','))
  const some = names.filter((name) => given.has(name))
  return new Set(some.length > 0 ? some : names)
}
const tasks = chosen('package', 'blob', 'small', 'copy')
const ways = chosen('push', 'pull')
const farEnds = chosen('sink', 'registry')
const programs = registryPrograms()

process.env['TMPDIR'] ??= roomyFolder(6 * bytes)
const rows: Row[] = []
const started = performance.now()
const startCpu = await run()
const [cpu] = cpus()
const machine = {
  cores: cpus().length,
  model: cpu?.model ?? 'unknown',
  memoryGib: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  date: new Date().toISOString().slice(0, 10),
  folder: tmpdir(),
}
log(`\n${table(rows)}`)
log(
  `${machine.cores} x ${machine.model}, ${machine.memoryGib} GiB, Node ${machine.node}, ${machine.date}, in ${tmpdir()}`,
)
log(
  `medians of ${rounds} rounds in turn; peak and temp are the largest seen; layerd is warm: its start took ${startCpu.toFixed(2)} CPU s`,
)
for (const line of targetLines(rows)) log(line)
const missing = PEERS.filter((name) => findProgram(name) === undefined)
for (const name of missing) log(`not on PATH, left out: ${name}`)
log(`${((performance.now() - started) / 60_000).toFixed(1)} min`)
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ machine, rounds, startCpu, missing, rows }, null, 2)}\n`)
}

async function run(): Promise<number> {
  await using t = new CleanupStack()
  const folder = mkdtempSync(join(tmpdir(), 'layerd-bench-'))
  const removal = { recursive: true, force: true }
  const forget = atEnd(() => rmSync(folder, removal))
  t.after(async () => {
    rmSync(folder, removal)
    forget()
  })
  const certificate = writeCertificate(folder)
  const daemon = await startDaemon(t, { folder, roots: [folder], env: { NODE_EXTRA_CA_CERTS: certificate.cert } })
  const inputs = createInputs({ folder, bytes, size: values.size, smallLayers: Number(values.small) })
  const context: TaskContext = { daemon, inputs, rounds, log }
  const registriesOf = (all: readonly RegistryProgram[], tls: boolean): Start[] =>
    farEnds.has('registry') ? all.map((program) => () => startRegistry(program, { tls, certificate })) : []
  const sinksOf = (options: Omit<SinkOptions, 'certificate'>): Start[] =>
    farEnds.has('sink') ? [() => startSink({ ...options, certificate })] : []
  if (tasks.has('package')) {
    for (const start of registriesOf(programs, false)) rows.push(...(await packageTasks(start, context, ways)))
  }
  if (tasks.has('blob')) {
    const { digest, path } = (await inputs.blob()).blob
    const sinks = [false, true].flatMap((tls) => sinksOf({ tls, blobs: { [digest]: path } }))
    const registries = [false, true].flatMap((tls) => registriesOf(programs.slice(-1), tls))
    for (const start of [...sinks, ...registries]) rows.push(...(await blobTasks(start, context, ways)))
  }
  if (tasks.has('small')) {
    const all = [...registriesOf(programs, false), ...sinksOf({ tls: false, singlePost: true })]
    for (const start of all) rows.push(...(await smallTasks(start, context, ways)))
  }
  if (tasks.has('copy')) {
    // Each way between the two kinds, or within the one there is.
    const kinds = registriesOf(programs, false)
    for (const [at, from] of kinds.entries()) {
      const to = kinds[(at + 1) % kinds.length]
      if (to) rows.push(...(await copyTasks(from, to, context)))
    }
  }
  return daemon.startCpuSeconds
}

/** Memory-backed where that leaves as much memory again. */
function roomyFolder(needed: number): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    if (bavail * bsize > needed && freemem() > needed) return '/dev/shm'
  } catch {
    // Not every system has it.
  }
  return tmpdir()
}

function parseSize(text: string): number {
  const match = /^(\d+)(MiB|GiB)$/.exec(text)
  if (!match) throw new Error(`--size takes 512MiB or 2GiB, not ${text}`)
  return Number(match[1]) * (match[2] === 'GiB' ? 2 ** 30 : 2 ** 20)
}
