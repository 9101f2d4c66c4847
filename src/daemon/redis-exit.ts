import { open, statfs } from 'node:fs/promises'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { sizeText } from '../lib/text.ts'

/** How the private Redis ended, as far as it is known. */
export interface RedisExit {
  /** 128 and the signal's number where a signal ended it; undefined for one that was taken over. */
  readonly exitCode: number | undefined
  /** The last line of its log, without its time. */
  readonly lastLine: string | undefined
  /** Of its disk. */
  readonly freeBytes: number | undefined
  readonly log: string
}

/** A disk with less is full: Redis writes more than that at once. */
const FULL_BYTES = 1024 * 1024
const TAIL_BYTES = 4096
const LINE_HEAD = /^\d{1,10}:[A-Z] [\w :.]{20,30} [.*#-] /

/** `folder`: of the private Redis. */
export async function readExit(folder: string, exitCode: number | undefined): Promise<RedisExit> {
  const log = join(folder, 'redis.log')
  const [lastLine, freeBytes] = await Promise.all([
    lastLineOf(log).catch(() => undefined),
    statfs(folder).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => undefined,
    ),
  ])
  return { exitCode, lastLine, freeBytes, log }
}

/** `ended with exit code 1; its disk is full (0 bytes free); the last line that its log took: ...` */
export function exitText(exit: RedisExit): string {
  const { exitCode, lastLine, freeBytes = 0 } = exit
  const signal = Object.entries(constants.signals).find(([, number]) => number + 128 === exitCode)?.[0]
  return [
    `ended${exitCode === undefined ? '' : ` with exit code ${exitCode}`}${signal === undefined ? '' : ` (${signal})`}`,
    ...(isDiskFull(exit) ? [`its disk is full (${sizeText(freeBytes)} free)`] : []),
    // A full disk takes no more of a log either.
    ...(lastLine === undefined
      ? []
      : [`${isDiskFull(exit) ? 'the last line that its log took' : 'its last line'}: ${lastLine}`]),
  ].join('; ')
}

/** What to do about one that is started again. */
export function exitHint(exit: RedisExit): string {
  return isDiskFull(exit)
    ? `${freeSpace(exit)}: layerd starts its Redis again by itself.`
    : `layerd starts its Redis again by itself; if that lasts, look into ${exit.log}.`
}

/** What to do about one that did not serve. */
export function startHint(exit: RedisExit): string {
  return `${isDiskFull(exit) ? `${freeSpace(exit)}. ` : ''}Look into ${exit.log}.`
}

function freeSpace({ log }: RedisExit): string {
  return `Free space on the disk of ${dirname(dirname(log))}`
}

function isDiskFull({ freeBytes }: RedisExit): boolean {
  return freeBytes !== undefined && freeBytes < FULL_BYTES
}

async function lastLineOf(path: string): Promise<string | undefined> {
  await using file = await open(path)
  const { size } = await file.stat()
  const { buffer, bytesRead } = await file.read(Buffer.alloc(TAIL_BYTES), 0, TAIL_BYTES, Math.max(0, size - TAIL_BYTES))
  const last = buffer.toString('utf8', 0, bytesRead).trim().split('\n').at(-1)
  return last === undefined || last === '' ? undefined : last.replace(LINE_HEAD, '')
}
