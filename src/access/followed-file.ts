import { open, stat } from 'node:fs/promises'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError, isAppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'

/** A file that is being saved may be empty or away for a moment; what was taken away may not stay. */
const GRACE_MS = 60_000
/** How soon a change ends what is open, where nobody asks meanwhile. */
const WATCH_MS = 2000
/** Some network file systems tell a change late by its times. */
const READ_AGAIN_MS = 60_000
/** Some ten thousand entries. */
const MAX_BYTES = 4 * 1024 * 1024

export interface Reading<E> {
  readonly entries: readonly E[]
  /** Of each part that is no entry, and counts for nothing. */
  readonly faults: readonly AppError[]
}

/** Who may do what, by a file that people change while layerd runs. */
export interface FollowedFile<E> {
  /** As it is now. The same array for as long as nothing has changed. Never rejects. */
  entries(): Promise<readonly E[]>
  /** Tells of a change within seconds; returns what ends the telling. */
  onChange(listener: () => void): () => void
}

export interface FollowOptions<E> {
  path: string
  /** For people: "token file". */
  what: string
  /** That names the file. */
  setting: string
  /** Throws CONFIG_INVALID where the text as a whole is of no use. */
  parse: (text: string) => Reading<E>
  logger: Logger
  clock?: Clock
}

/**
 * A changed file is read before the next question is answered, and an unchanged one once a minute. One that cannot be read, or
 * is of no use, has no entries once it has been like that for a minute, or nobody asked for that long; until then those known
 * before go on. The log tells each once. Throws CONFIG_INVALID when the first reading fails, then also for a part that is none.
 */
export async function followFile<E>(options: FollowOptions<E>): Promise<FollowedFile<E>> {
  const { path, what, parse, logger, clock = systemClock } = options
  const load = async () => parse(await textOf(options))
  let version = await versionOf(options)
  const first = await load()
  const [fault] = first.faults
  if (fault) throw fault
  const nothing: readonly E[] = []
  let { entries } = first
  let readAt = clock.now()
  let goodAt = readAt
  let told = ''

  const tellOnce = (error: unknown, text: string): void => {
    const said = `${text}: ${error instanceof Error ? error.message : String(error)}`
    if (said !== told) logger.error({ err: error, path }, text)
    told = said
  }
  const refresh = async (): Promise<void> => {
    const now = clock.now()
    const found = await versionOf(options)
    if (found !== version || now - readAt >= READ_AGAIN_MS) {
      const reading = await load()
      if (found !== version) logger.info({ path, entries: reading.entries.length }, `${what} read again`)
      for (const error of reading.faults) tellOnce(error, `a line of the ${what} counts for nothing`)
      ;({ entries } = reading)
      version = found
      readAt = now
    }
    goodAt = now
  }
  const known = async (): Promise<readonly E[]> => {
    try {
      await refresh()
      return entries
    } catch (error) {
      const over = clock.now() - goodAt >= GRACE_MS
      tellOnce(error, over ? `nobody is let in for want of a ${what}` : `${what} not readable`)
      return over ? nothing : entries
    }
  }
  return { entries: known, onChange: (listener) => watch(known, listener) }
}

function watch(known: () => Promise<unknown>, listener: () => void): () => void {
  let before = known()
  const timer = setInterval(() => {
    const now = known()
    void Promise.all([before, now]).then(([were, are]) => were !== are && listener())
    before = now
  }, WATCH_MS).unref()
  return () => clearInterval(timer)
}

type Named = Pick<FollowOptions<never>, 'path' | 'what' | 'setting'>

/** ctime too: a program may set the other one back. */
async function versionOf(file: Named): Promise<string> {
  try {
    const { mtimeMs, ctimeMs, size, ino } = await stat(file.path)
    return `${mtimeMs}-${ctimeMs}-${size}-${ino}`
  } catch (error) {
    throw unreadable(file, error)
  }
}

async function textOf(file: Named): Promise<string> {
  try {
    await using handle = await open(file.path, 'r')
    const { size } = await handle.stat()
    if (size <= MAX_BYTES) return await handle.readFile('utf8')
  } catch (error) {
    throw isAppError(error) ? error : unreadable(file, error)
  }
  throw new AppError('CONFIG_INVALID', `the ${file.what} ${file.path} has more than ${MAX_BYTES / 1024 ** 2} MiB`)
}

function unreadable({ path, what, setting }: Named, cause: unknown): AppError {
  return new AppError('CONFIG_INVALID', `the ${what} ${path} cannot be read`, {
    hint: `${setting} must name a file that the daemon may read.`,
    cause,
  })
}
