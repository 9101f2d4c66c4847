import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FarEnd } from './far-end.ts'
import { type Cost, median } from './measure.ts'

/** One program at one task. */
export interface Contender {
  name: string
  /** Does the work once, where nothing of it is there yet; throws unless it is found done. */
  run(round: Round): Promise<Cost>
}

export interface Round {
  farEnd: FarEnd
  /** Of this round alone: a repository to push to. */
  id: string
  /** A folder of its own, removed afterwards. */
  folder: string
}

export interface Task {
  name: string
  /** Which way the bytes go, and how many. */
  direction: 'push' | 'pull'
  bytes: number
  /** A pull's is filled once. A push begins at a new one each time: layerd sends nothing that a registry holds already. */
  farEnd: FarEnd | (() => Promise<FarEnd>)
}

export interface Row extends Cost {
  task: string
  farEnd: string
  name: string
  rounds: number
  /** layerd's medians divided by each other program's. */
  ratios: Record<string, { cpu: number; wall: number }>
}

export interface Bench {
  rounds: number
  log: (line: string) => void
}

/** Runs contenders in turn, A B A B ..., so that a machine whose speed drifts is fair to all. */
export async function compete(task: Task, contenders: readonly Contender[], bench: Bench): Promise<Row[]> {
  const costs = new Map<string, Cost[]>()
  const failed = new Set<Contender>()
  let at = ''
  for (let round = 0; round < bench.rounds; round += 1) {
    for (const one of contenders.filter((contender) => !failed.has(contender))) {
      const done = await once(task, one, round).catch((error: unknown) => {
        // What another program can't do must not take the rest of an hour's figures along.
        if (one.name === 'layerd') throw error
        bench.log(`${task.name}: ${one.name} failed and is left out: ${(error as Error).message}`)
        failed.add(one)
        costs.delete(one.name)
      })
      if (!done) continue
      const { cost, farEnd } = done
      at = farEnd
      costs.set(one.name, [...(costs.get(one.name) ?? []), cost])
      const figures = `${cost.wallSeconds.toFixed(2)} s wall, ${cost.cpuSeconds.toFixed(2)} s CPU`
      bench.log(`${task.name}, ${at}: ${one.name} ${figures}`)
    }
  }
  const rows = [...costs].map(([name, all]) => ({ name, rounds: all.length, ...medians(all) }))
  const own = rows.find(({ name }) => name === 'layerd')
  return rows.map((row) => ({
    task: task.name,
    farEnd: at,
    ...row,
    ratios: row === own ? ratiosOf(own, rows) : {},
  }))
}

async function once(task: Task, one: Contender, number: number): Promise<{ cost: Cost; farEnd: string }> {
  await using owned = typeof task.farEnd === 'function' ? await task.farEnd() : undefined
  const farEnd = owned ?? (task.farEnd as FarEnd)
  const folder = mkdtempSync(join(tmpdir(), 'layerd-bench-round-'))
  mkdirSync(join(folder, 'tmp'))
  try {
    const before = farEnd.transferred()
    const cost = await one.run({ farEnd, id: `${one.name.replaceAll(/[^a-z0-9]/g, '')}${number}`, folder })
    const after = farEnd.transferred()
    const moved = task.direction === 'push' ? after.read - before.read : after.written - before.written
    if (moved < task.bytes) throw new Error(`${one.name}: only ${moved} of ${task.bytes} bytes moved`)
    return { cost, farEnd: farEnd.name }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function ratiosOf(own: Cost & { name: string }, rows: readonly (Cost & { name: string })[]): Row['ratios'] {
  const others = rows.filter(({ name }) => !name.startsWith('layerd'))
  return Object.fromEntries(
    others.map((other) => [
      other.name,
      { cpu: own.cpuSeconds / other.cpuSeconds, wall: own.wallSeconds / other.wallSeconds },
    ]),
  )
}

function medians(all: readonly Cost[]): Cost {
  return {
    wallSeconds: median(all.map((cost) => cost.wallSeconds)),
    cpuSeconds: median(all.map((cost) => cost.cpuSeconds)),
    peakBytes: Math.max(...all.map((cost) => cost.peakBytes)),
    temporaryBytes: Math.max(...all.map((cost) => cost.temporaryBytes)),
  }
}

const MIB = 1024 * 1024
/** Programs that layerd is compared with, in the order of the columns. */
const PEERS = ['zarf', 'oras', 'crane', 'regctl'] as const

/** As Markdown, for docs/performance.md. The last columns are layerd's CPU and wall as a share of the peer's. */
export function table(rows: readonly Row[]): string {
  const columns = ['task', 'far end', 'program', 'wall s', 'CPU s', 'peak MiB', 'temp MiB']
  const heads = [...columns, ...PEERS.map((peer) => `CPU, wall / ${peer}`)]
  const lines = rows.map((row) => [
    row.task,
    row.farEnd,
    row.name === 'layerd' ? '**layerd**' : row.name,
    row.wallSeconds.toFixed(2),
    row.cpuSeconds.toFixed(2),
    (row.peakBytes / MIB).toFixed(0),
    (row.temporaryBytes / MIB).toFixed(0),
    ...PEERS.map((peer) => ratioText(row.ratios[peer])),
  ])
  return [heads, heads.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

function ratioText(ratio: { cpu: number; wall: number } | undefined): string {
  return ratio ? `${ratio.cpu.toFixed(2)}, ${ratio.wall.toFixed(2)}` : ''
}
