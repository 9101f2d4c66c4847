import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { type Clock, systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { TokenSource } from './authenticator.ts'
import type { Grant } from './grants.ts'
import type { Limits } from './limits.ts'
import type { Principal } from './principal.ts'
import { newSecret } from './secret.ts'

/** A token that layerd issued, as it may be told. */
export interface IssuedToken {
  /** It stands in the token's text, and opens nothing. */
  readonly id: string
  /** Its principal's. */
  readonly name: string
  readonly scopes: readonly string[]
  readonly limits: Limits
  readonly description: string | null
  /** RFC 3339, as all times here. */
  readonly createdAt: string
  /** The principal that asked for it. */
  readonly createdBy: string
  /** Null: when it is taken away. */
  readonly expiresAt: string | null
  /** To the minute. */
  readonly lastUsedAt: string | null
}

export type TokenWish = Pick<IssuedToken, 'name' | 'scopes' | 'limits' | 'description' | 'createdBy' | 'expiresAt'>

/** As it is kept: of the secret a hash, with a salt of its own. */
export interface KeptToken extends Omit<IssuedToken, 'lastUsedAt'> {
  readonly salt: string
  readonly hash: string
}

/** What a token had that was taken away: its name's things are still there. */
export interface EndedToken extends Pick<IssuedToken, 'id' | 'name' | 'scopes' | 'limits'> {
  readonly endedAt: string
}

export interface TokenRecords {
  get(id: string): Promise<KeptToken | undefined>
  /** `version`: another with each change. */
  read(): Promise<{ tokens: (KeptToken & IssuedToken)[]; ended: EndedToken[]; version: string }>
  /** Keeps it, and forgets those of `drop`, where nothing has changed since `version`. */
  add(token: KeptToken, change: { version: string; drop: readonly string[] }): Promise<'done' | 'changed' | 'full'>
  /** Whether it was there. `drop`: ended ones that are forgotten. */
  remove(ended: EndedToken, drop: readonly string[]): Promise<boolean>
  noteUse(id: string, time: string): Promise<void>
  /** Tells that some were taken away, in any process; returns what ends the telling. */
  onChange(listener: () => void): () => void
}

/** Costs one look-up for a text that is built as one of these, and none for any other. Calls throw QUEUE_UNAVAILABLE. */
export interface IssuedTokens extends TokenSource {
  list(): Promise<IssuedToken[]>
  get(id: string): Promise<IssuedToken | undefined>
  /**
   * `judge` throws where the wish is not granted beside what tokens of the same name have, or had lately. The text is told
   * here alone. Throws REQUEST_INVALID where there are too many.
   */
  issue(wish: TokenWish, judge: (others: readonly Grant[]) => void): Promise<{ text: string; token: IssuedToken }>
  /** From the next request on it lets nobody in, in any process. Whether it was there. */
  revoke(id: string): Promise<boolean>
}

const KIND = 'issued'
const TEXT = /^ldt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/
export const MAX_TOKENS = 1000
/** What has expired is told of for so long, and what had a name keeps it from others who have less. */
const ENDED_KEPT_MS = 90 * 86_400_000
const USE_NOTED_EACH_MS = 60_000
const MAX_TRIES = 10

export function isTokenId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text)
}

export function createIssuedTokens(records: TokenRecords, clock: Clock = systemClock): IssuedTokens {
  const noteUse = createUseNotes(records, clock)
  const isOver = ({ expiresAt }: Pick<KeptToken, 'expiresAt'>) =>
    expiresAt !== null && Date.parse(expiresAt) <= clock.now()
  return {
    kind: KIND,
    async authenticate(text) {
      const [, id = '', secret = ''] = TEXT.exec(text) ?? []
      if (id === '') return undefined
      const kept = await records.get(id)
      if (!isSecretOf(kept ?? NOBODYS, secret) || kept === undefined || isOver(kept)) return undefined
      noteUse(id)
      return principalOf(kept)
    },
    async current(credential) {
      const kept = await records.get(credential.slice(KIND.length + 1))
      return kept === undefined || isOver(kept) ? undefined : principalOf(kept)
    },
    onChange: (listener) => records.onChange(listener),
    list: async () => (await records.read()).tokens.map(told),
    async get(id) {
      const found = (await records.read()).tokens.find((token) => token.id === id)
      return found && told(found)
    },
    issue: (wish, judge) => issue(records, clock, { wish, judge }),
    async revoke(id) {
      const { tokens, ended } = await records.read()
      const found = tokens.find((token) => token.id === id)
      if (!found) return false
      const { name, scopes, limits } = found
      const drop = longOver(ended, ({ endedAt }) => endedAt, clock).map((one) => one.id)
      return await records.remove({ id, name, scopes, limits, endedAt: timeOf(clock) }, drop)
    },
  }
}

/** Tries again where another was issued meanwhile: it may be one of the same name. */
async function issue(
  records: TokenRecords,
  clock: Clock,
  { wish, judge }: { wish: TokenWish; judge: (others: readonly Grant[]) => void },
): Promise<{ text: string; token: IssuedToken }> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const { tokens, ended, version } = await records.read()
    const others = [...tokens, ...ended].filter(({ name }) => name === wish.name)
    judge(others.map(({ scopes, limits }) => ({ scopes: new Set(scopes), limits })))
    const { text, kept } = minted(wish, timeOf(clock))
    const drop = longOver(tokens, ({ expiresAt }) => expiresAt, clock).map(({ id }) => id)
    const done = await records.add(kept, { version, drop })
    if (done === 'done') return { text, token: told({ ...kept, lastUsedAt: null }) }
    if (done === 'full') throw tooMany()
  }
  throw new AppError('QUEUE_UNAVAILABLE', 'tokens are issued and taken away too fast for one more')
}

/** Those that ended long ago; where as many are kept as may be, the oldest of those that have ended, too. */
function longOver<T>(kept: readonly T[], endOf: (one: T) => string | null, clock: Clock): T[] {
  const now = clock.now()
  const over = kept
    .map((one) => ({ one, end: Date.parse(endOf(one) ?? '') }))
    .filter(({ end }) => end <= now)
    .toSorted((a, b) => a.end - b.end)
  const tooMany = kept.length - MAX_TOKENS + 1
  return over.filter(({ end }, at) => at < tooMany || end <= now - ENDED_KEPT_MS).map(({ one }) => one)
}

function minted(wish: TokenWish, createdAt: string): { text: string; kept: KeptToken } {
  const id = randomBytes(8).toString('hex')
  const secret = newSecret()
  const salt = randomBytes(16).toString('hex')
  return { text: `ldt_${id}_${secret}`, kept: { ...wish, id, createdAt, salt, hash: hashOf(salt, secret) } }
}

/** Compared in full whoever asks, and where there is no such token with nobody's. */
function isSecretOf({ salt, hash }: Pick<KeptToken, 'salt' | 'hash'>, secret: string): boolean {
  return timingSafeEqual(Buffer.from(hash, 'hex'), Buffer.from(hashOf(salt, secret), 'hex'))
}

/** 256 random bits need no slow hash: nobody guesses them. */
function hashOf(salt: string, secret: string): string {
  return createHash('sha256').update(salt).update(secret).digest('hex')
}

const NOBODYS = { salt: randomBytes(16).toString('hex'), hash: randomBytes(32).toString('hex') }

function principalOf({ id, name, scopes, limits, expiresAt }: KeptToken): Principal {
  const end = expiresAt === null ? undefined : Date.parse(expiresAt)
  return {
    name,
    scopes: new Set(scopes),
    limits,
    credential: `${KIND}:${id}`,
    ...(end === undefined ? {} : { expiresAt: end, issuesUntil: end }),
  }
}

/** Each once a minute at most. Nobody waits for it, and nobody minds when it fails. */
function createUseNotes(records: TokenRecords, clock: Clock): (id: string) => void {
  const noted = new Map<string, number>()
  return (id) => {
    const now = clock.now()
    if (now - (noted.get(id) ?? 0) < USE_NOTED_EACH_MS) return
    // Those that have gone are forgotten by and by.
    if (noted.size >= MAX_TOKENS) noted.clear()
    noted.set(id, now)
    records.noteUse(id, timeOf(clock)).catch(() => undefined)
  }
}

function told({ salt: _salt, hash: _hash, ...token }: KeptToken & IssuedToken): IssuedToken {
  return token
}

function timeOf(clock: Clock): string {
  return new Date(clock.now()).toISOString()
}

function tooMany(): AppError {
  return new AppError('REQUEST_INVALID', `more than ${MAX_TOKENS} tokens are not kept`, {
    hint: 'Take away some that nobody uses: GET /v1/tokens (layerd tokens) tells when each was used last.',
  })
}
