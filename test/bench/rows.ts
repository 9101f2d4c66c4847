import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cost, measure, median } from './measure.ts'

/** One program at one task. */
export interface Contender {
  name: string
  command: string
  /** Called before each round, so that nothing is there already. */
  args(round: { id: string; temporary: string }): string[]
  env?: Record<string, string>
  /** Proves that the work was done; throws otherwise. */
  check(round: { id: string; temporary: string; stdout: string }): Promise<void>
}

export interface Row extends Cost {
  task: string
  name: string
  rounds: number
  /** Ratios of medians to the contender named by the task. */
  cpuRatio: number
  wallRatio: number
}

/** Runs contenders in turn, A B A B ..., so that a machine whose speed drifts is fair to all. */
export async function compete(
  task: string,
  contenders: readonly Contender[],
  options: { rounds: number; against: string; log: (line: string) => void },
): Promise<Row[]> {
  const costs = new Map<string, Cost[]>()
  for (let round = 0; round < options.rounds; round += 1) {
    for (const one of contenders) {
      const temporary = mkdtempSync(join(tmpdir(), 'layerd-bench-'))
      const id = `${one.name.replaceAll(/[^a-z0-9]/g, '')}${round}${Date.now().toString(36)}`
      mkdirSync(join(temporary, 'tmp'))
      try {
        const run = await measure(one.command, one.args({ id, temporary }), {
          temporary: join(temporary, 'tmp'),
          ...(one.env ? { env: one.env } : {}),
        })
        await one.check({ id, temporary, stdout: run.stdout })
        costs.set(one.name, [...(costs.get(one.name) ?? []), run])
        options.log(`${task}: ${one.name} ${run.wallSeconds.toFixed(2)} s wall, ${run.cpuSeconds.toFixed(2)} s CPU`)
      } finally {
        rmSync(temporary, { recursive: true, force: true })
      }
    }
  }
  const rows = [...costs].map(([name, all]) => ({ task, name, rounds: all.length, ...medians(all) }))
  const base = rows.find((row) => row.name === options.against)
  return rows.map((row) => ({
    ...row,
    cpuRatio: base ? row.cpuSeconds / base.cpuSeconds : Number.NaN,
    wallRatio: base ? row.wallSeconds / base.wallSeconds : Number.NaN,
  }))
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

/** As Markdown, for docs/performance.md. */
export function table(rows: readonly Row[]): string {
  const head =
    '| task | program | wall s | CPU s | peak MiB | temp MiB | CPU ratio | wall ratio |\n|---|---|---|---|---|---|---|---|\n'
  const number = (value: number, digits: number) => (Number.isNaN(value) ? '-' : value.toFixed(digits))
  return (
    head +
    rows
      .map((row) =>
        [
          row.task,
          row.name,
          number(row.wallSeconds, 2),
          number(row.cpuSeconds, 2),
          number(row.peakBytes / MIB, 0),
          number(row.temporaryBytes / MIB, 0),
          number(row.cpuRatio, 2),
          number(row.wallRatio, 2),
        ].join(' | '),
      )
      .map((line) => `| ${line} |\n`)
      .join('')
  )
}
