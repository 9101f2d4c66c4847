import { createHash, timingSafeEqual } from 'node:crypto'
import { isPlacePattern } from '../content/repository-pattern.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { LIMIT_NAMES, type Limits } from './limits.ts'
import type { TokenSource } from './authenticator.ts'
import { followFile, type Reading } from './followed-file.ts'
import type { Principal } from './principal.ts'
import { isScope } from './scopes.ts'

interface Entry extends Principal {
  readonly hash: Buffer
}

const NAME = /^[A-Za-z0-9._@-]+$/
const MAX_NAME = 128
const HASH = /^[0-9a-fA-F]{64}$/

/**
 * Reads LAYERD_TOKENS_FILE: lines `name sha256-hex scope,... [limit=value,...]`, where the hash is of the token's bytes; `#`
 * begins a comment line. A line that is no token loses itself alone; a changed file is read again, and one that is away or holds
 * no token lets nobody in after a minute (followed-file.ts). Throws CONFIG_INVALID when the first reading fails, then also for a
 * line that is no token.
 */
export async function openTokenFile(path: string, logger: Logger, clock: Clock = systemClock): Promise<TokenSource> {
  const tell = createScopeNotes(path, logger)
  const parse = (text: string) => {
    const reading = parseAll(path, text)
    tell(reading.entries)
    return reading
  }
  const file = await followFile({ path, what: 'token file', setting: 'LAYERD_TOKENS_FILE', parse, logger, clock })
  return {
    kind: 'file',
    async authenticate(token) {
      const hash = createHash('sha256').update(token).digest()
      let found: Entry | undefined
      // Each entry is compared in full, so that the time tells neither which one nor how much of it matched.
      for (const entry of await file.entries()) if (timingSafeEqual(entry.hash, hash)) found = entry
      return found
    },
    current: async (credential) => (await file.entries()).findLast((entry) => entry.credential === credential),
    reserves: async (name) => (await file.entries()).some((entry) => entry.name === name),
    onChange: (listener) => file.onChange(listener),
  }
}

/** Scopes that there are not let nobody do anything; each is told once. */
function createScopeNotes(path: string, logger: Logger): (entries: readonly Entry[]) => void {
  const told = new Set<string>()
  return (entries) => {
    for (const { name, scopes } of entries) {
      const unknown = [...scopes].filter((scope) => scope !== '*' && !isScope(scope) && !told.has(`${name} ${scope}`))
      if (unknown.length === 0) continue
      for (const scope of unknown) told.add(`${name} ${scope}`)
      logger.warn(
        { path, principal: name, scopes: unknown },
        'a token has scopes that there are not: they are good for nothing',
      )
    }
  }
}

/** Throws CONFIG_INVALID when there is no token in it; with a line that is none, for that. */
function parseAll(path: string, text: string): Reading<Entry> {
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
