import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/**
 * Who holds a lock or a lease. A process id alone means nothing: it is used again after a crash and counts anew in each
 * container, and the data directory may be a volume that several share. So an owner names its kernel's boot and process
 * namespace too; where these are the reader's own, the process table decides, else the file's time, which owners renew.
 */
export interface Owner {
  readonly token: string
  /** Boot, process namespace and host name, as a short hash. */
  readonly host: string
  readonly pid: number
  /** When the process began, in the kernel's ticks; empty where there is no /proc. */
  readonly started: string
}

/** How often an owner renews its files, and after how long without it a foreign one counts as gone. */
export const RENEW_MS = 10_000
export const FOREIGN_STALE_MS = 60_000

const HOST = createHash('sha256').update(hostIdentity()).digest('hex').slice(0, 16)
const STARTED = processStart(process.pid)?.started ?? ''

export function newOwner(): Owner {
  return { token: randomBytes(9).toString('base64url'), host: HOST, pid: process.pid, started: STARTED }
}

/** Short enough (under 60 bytes) for file systems to keep a link to it without a block of its own. */
export function formatOwner({ token, host, pid, started }: Owner): string {
  return [token, host, pid, started].join(':')
}

export function parseOwner(text: string): Owner | undefined {
  const [, token, host, pid, started] = /^([\w-]+):([0-9a-f]+):(\d+):(\d*)$/.exec(text) ?? []
  if (token === undefined || host === undefined || started === undefined) return undefined
  return { token, host, pid: Number(pid), started }
}

export function isThisHost(owner: Owner): boolean {
  return owner.host === HOST
}

export function isThisProcess(owner: Owner): boolean {
  return isThisHost(owner) && owner.pid === process.pid && owner.started === STARTED
}

/** Whether the owner of a file that was renewed at `renewedAt` (ms) still runs. */
export function isAlive(owner: Owner, renewedAt: number): boolean {
  if (!isThisHost(owner)) return Date.now() - renewedAt < FOREIGN_STALE_MS
  const process = processStart(owner.pid)
  if (process) return !process.ended && process.started === owner.started
  return owner.started === '' && exists(owner.pid)
}

/** Source: proc_pid_stat(5): after the parenthesised name come the state (3rd field) and, as 22nd, the start time. */
function processStart(pid: number): { started: string; ended: boolean } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A killed child stays a zombie until its parent collects it; it holds nothing any more.
    return { started: fields[19] ?? '', ended: fields[0] === 'Z' || fields[0] === 'X' }
  } catch {
    return undefined
  }
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Names the kernel's run, in whatever container; empty where there is no /proc. */
export function bootId(): string {
  return orEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1'))
}

function hostIdentity(): string {
  const namespace = orEmpty(() => readlinkSync('/proc/self/ns/pid'))
  return `${bootId()} ${namespace} ${hostname()}`
}

function orEmpty(take: () => string): string {
  try {
    return take().trim()
  } catch {
    return ''
  }
}
