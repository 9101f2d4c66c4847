import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { isPlacePattern, LIMIT_NAMES, type Limits } from './limits.ts'
import type { TokenSource } from './authenticator.ts'
import type { Principal } from './principal.ts'

interface Entry extends Principal {
  readonly hash: Buffer
}

const NOBODY: readonly Entry[] = []
const NAME = /^[A-Za-z0-9._@-]+$/
const MAX_NAME = 128
const HASH = /^[0-9a-fA-F]{64}$/

/** A file that is being saved may be empty or away for a moment; a token that was taken away may not stay. */
const GRACE_MS = 60_000
/** How soon a line that was taken away ends what is open, where nobody asks meanwhile. */
const WATCH_MS = 2000
/** Some network file systems tell a change late by its times. */
const READ_AGAIN_MS = 60_000

/**
 * Reads LAYERD_TOKENS_FILE: lines `name sha256-hex scope,... [limit=value,...]`, where the hash is of the token's bytes; `#`
 * begins a comment line. A changed file is read before the next request is judged, and an unchanged one once a minute. A line that
 * is no token loses itself alone. A file that cannot be read, or that holds no token, lets nobody in once it has been like
 * that for a minute, or nobody asked for that long; until then the tokens known before go on. The log tells each once.
 * Throws CONFIG_INVALID when the first reading fails, then also for a line that is no token.
 */
export async function openTokenFile(path: string, logger: Logger, clock: Clock = systemClock): Promise<TokenSource> {
  let version = await versionOf(path)
  const first = await load(path)
  const [fault] = first.faults
  if (fault) throw fault
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
    const found = await versionOf(path)
    if (found !== version || now - readAt >= READ_AGAIN_MS) {
      const reading = await load(path)
      if (found !== version) logger.info({ path, tokens: reading.entries.length }, 'token file read again')
      for (const error of reading.faults) tellOnce(error, 'a line of the token file counts for nothing')
      ;({ entries } = reading)
      version = found
      readAt = now
    }
    goodAt = now
  }
  const known = async (): Promise<readonly Entry[]> => {
    try {
      await refresh()
      return entries
    } catch (error) {
      const over = clock.now() - goodAt >= GRACE_MS
      tellOnce(error, over ? 'nobody is let in for want of a token file' : 'token file not readable')
      return over ? NOBODY : entries
    }
  }

  return sourceOf(known)
}

function sourceOf(known: () => Promise<readonly Entry[]>): TokenSource {
  return {
    kind: 'file',
    async authenticate(token) {
      const hash = createHash('sha256').update(token).digest()
      let found: Entry | undefined
      // Each entry is compared in full, so that the time tells neither which one nor how much of it matched.
      for (const entry of await known()) if (timingSafeEqual(entry.hash, hash)) found = entry
      return found
    },
    current: async (credential) => (await known()).find((entry) => entry.credential === credential),
    onChange(listener) {
      let before = known()
      const timer = setInterval(() => {
        const now = known()
        void Promise.all([before, now]).then(([were, are]) => were !== are && listener())
        before = now
      }, WATCH_MS).unref()
      return () => clearInterval(timer)
    },
  }
}

/** ctime too: a program may set the other one back. */
async function versionOf(path: string): Promise<string> {
  try {
    const { mtimeMs, ctimeMs, size, ino } = await stat(path)
    return `${mtimeMs}-${ctimeMs}-${size}-${ino}`
  } catch (error) {
    throw unreadable(path, error)
  }
}

interface Reading {
  readonly entries: readonly Entry[]
  /** Of each line that is no token. */
  readonly faults: readonly AppError[]
}

/** Throws CONFIG_INVALID when there is no token in it; with a line that is none, for that. */
async function load(path: string): Promise<Reading> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unreadable(path, error)
  })
  const lines = text.split(/\r?\n/).map((line, index) => ({ text: line.trim(), number: index + 1 }))
  const parsed = lines.filter((line) => line.text !== '' && !line.text.startsWith('#')).map((line) => parse(path, line))
  const entries = parsed.filter((line): line is Entry => !(line instanceof AppError))
  const faults = parsed.filter((line) => line instanceof AppError)
  if (entries.length > 0) return { entries, faults }
  throw faults[0] ?? new AppError('CONFIG_INVALID', `the token file ${path} holds no token`, { hint: FORMAT_HINT })
}

const FORMAT_HINT =
  'Each line is "name sha256-hex scope,... [repositories=ghcr.io/team/**,...]", for example: echo "me $(printf %s "$TOKEN" | sha256sum | cut -d\' \' -f1) *".'

function parse(path: string, line: { text: string; number: number }): Entry | AppError {
  const [name = '', hash = '', scopes = '', ...rest] = line.text.split(/\s+/)
  const limits = parseLimits(rest)
  const wellFormed = NAME.test(name) && name.length <= MAX_NAME && HASH.test(hash) && limits !== undefined
  if (!wellFormed || scopes.split(',').includes('')) {
    return new AppError('CONFIG_INVALID', `line ${line.number} of the token file ${path} is not a token`, {
      hint: FORMAT_HINT,
    })
  }
  const credential = `file:${hash.slice(0, 16).toLowerCase()}`
  return { name, hash: Buffer.from(hash, 'hex'), scopes: new Set(scopes.split(',')), limits, credential }
}

/** `registries=a,b repositories=a/b/** kinds=pull`; undefined where one is none, or stands twice: no token is wider than its line. */
function parseLimits(fields: readonly string[]): Limits | undefined {
  const limits = new Map<string, readonly string[]>()
  for (const field of fields) {
    const [name = '', ...values] = field.split(/[=,]/)
    const known = (LIMIT_NAMES as readonly string[]).includes(name) && !limits.has(name) && field[name.length] === '='
    if (!known || values.length === 0 || values.includes('')) return undefined
    limits.set(name, values)
  }
  return limits.get('repositories')?.every(isPlacePattern) === false ? undefined : Object.fromEntries(limits)
}

function unreadable(path: string, cause: unknown): AppError {
  return new AppError('CONFIG_INVALID', `the token file ${path} cannot be read`, {
    hint: 'LAYERD_TOKENS_FILE must name a file that the daemon may read.',
    cause,
  })
}
