import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What one piece of work cost. Linux only: all of it is read from the kernel's own accounts. */
export interface Cost {
  wallSeconds: number
  /** User and system time. Of a program: its own and its children's; of layerd: API, worker and Redis together. */
  cpuSeconds: number
  /** Largest resident set of the process that moves the bytes. */
  peakBytes: number
  /** How much larger its folders were on the way than at the end. */
  temporaryBytes: number
}

export interface ProgramOptions {
  /** Folders whose size is watched; the first is the program's TMPDIR. */
  folders: readonly [string, ...string[]]
  env?: Record<string, string>
  cwd?: string
  /** A file that is its standard input. */
  stdin?: number
  /** A file that takes its standard output. */
  stdout?: number
}

const SAMPLE_MS = 100
/** Clock ticks a second in /proc/PID/stat: fixed by Linux's user-space interface. */
const TICKS = 100

/** Runs a program to its end. Throws with its output when it fails: a row of a run that did not work would be a lie. */
export async function measure(command: string, args: readonly string[], options: ProgramOptions): Promise<Cost> {
  const before = childrenCpu()
  const started = performance.now()
  const child = spawn(command, args, {
    env: { ...process.env, TMPDIR: options.folders[0], ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const sizes = watchSizes(options.folders)
  let peakBytes = 0
  const sample = setInterval(() => (peakBytes = Math.max(peakBytes, peakOf(child.pid))), SAMPLE_MS)
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    if (code !== 0) {
      const said = `${stdout.slice(-2000)}${stderr.slice(-2000)}`
      throw new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}:\n${said}`)
    }
  } finally {
    clearInterval(sample)
    sizes.stop()
  }
  const wallSeconds = (performance.now() - started) / 1000
  return { wallSeconds, cpuSeconds: childrenCpu() - before, peakBytes, temporaryBytes: sizes.beyondEnd() }
}

/** Looks at the folders' size now and then: less often where looking takes long. */
export function watchSizes(folders: readonly string[]) {
  let largest = 0
  let timer: NodeJS.Timeout
  const look = () => {
    const started = performance.now()
    largest = Math.max(largest, sizeOf(folders))
    timer = setTimeout(look, Math.max(SAMPLE_MS, 20 * (performance.now() - started)))
  }
  look()
  return {
    stop: () => clearTimeout(timer),
    beyondEnd: () => Math.max(0, largest - sizeOf(folders)),
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** User and system seconds that a running process has taken so far. */
export function cpuOf(pid: number): number {
  const fields = statFields(pid)
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

/** cutime and cstime of this process: exact for children that were waited for. */
function childrenCpu(): number {
  const fields = statFields('self')
  return (Number(fields[13]) + Number(fields[14])) / TICKS
}

/** From the third one on; the name in parentheses may hold spaces. */
function statFields(pid: number | 'self'): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
}

/** Largest resident set so far, or since `forgetPeak`. */
export function peakOf(pid: number | undefined): number {
  return statusOf(pid, 'VmHWM')
}

export function residentOf(pid: number | undefined): number {
  return statusOf(pid, 'VmRSS')
}

function statusOf(pid: number | undefined, field: 'VmHWM' | 'VmRSS'): number {
  try {
    const match = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(match?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** The peak of a process counts from here on. Source: proc_pid_clear_refs(5), value 5. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** Bytes that a process has read and written so far by read and write calls of any kind, sockets included. */
export function transferredBy(pid: number): { read: number; written: number } {
  const text = readFileSync(`/proc/${pid}/io`, 'utf8')
  return { read: Number(/rchar: (\d+)/.exec(text)?.[1]), written: Number(/wchar: (\d+)/.exec(text)?.[1]) }
}

function sizeOf(folders: readonly string[]): number {
  let bytes = 0
  for (const folder of folders) {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name)
        if (entry.isDirectory()) bytes += sizeOf([path])
        else if (entry.isFile()) bytes += statSync(path).size
      }
    } catch {
      // Gone between the listing and the look.
    }
  }
  return bytes
}
