import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** What one run of a program cost. */
export interface Cost {
  wallSeconds: number
  /** User and system time of the process and of the children it waited for. */
  cpuSeconds: number
  /** Largest resident set of the process itself. */
  peakBytes: number
  /** Largest size of its temporary folder. */
  temporaryBytes: number
}

export interface MeasuredRun extends Cost {
  stdout: string
}

const SAMPLE_MS = 100
/** Clock ticks a second in /proc/PID/stat: fixed by Linux's user-space interface. */
const TICKS = 100

/**
 * Runs a program to its end and reads from the kernel what it cost: CPU time of a child that was waited for is exact.
 * Linux only. Throws with its output when it fails: a row of a run that did not work would be a lie.
 */
export async function measure(
  command: string,
  args: readonly string[],
  options: { temporary: string; env?: Record<string, string> },
): Promise<MeasuredRun> {
  const before = childrenCpu()
  const started = performance.now()
  const child = spawn(command, args, {
    env: { ...process.env, TMPDIR: options.temporary, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  let peakBytes = 0
  let temporaryBytes = 0
  const sample = setInterval(() => {
    peakBytes = Math.max(peakBytes, peakOf(child.pid))
    temporaryBytes = Math.max(temporaryBytes, sizeOf(options.temporary))
  }, SAMPLE_MS)
  try {
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0)
      throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${stdout.slice(-2000)}${stderr.slice(-2000)}`)
  } finally {
    clearInterval(sample)
  }
  const wallSeconds = (performance.now() - started) / 1000
  return { wallSeconds, cpuSeconds: childrenCpu() - before, peakBytes, temporaryBytes, stdout }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** cutime and cstime of this process. The name in parentheses may hold spaces. */
function childrenCpu(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[13]) + Number(fields[14])) / TICKS
}

function peakOf(pid: number | undefined): number {
  try {
    const match = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(match?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

function sizeOf(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    try {
      if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size
    } catch {
      // Gone between the listing and the look.
    }
  }
  return bytes
}
