import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import type { KeyRecord, KeySecret, KeySettings } from '../model/key-record.ts'
import { createVault, type SecretKeys, type Vault } from '../record/credentials.ts'
import { type Resealed, resealAll } from '../record/reseal.ts'
import { changedMeanwhile, type KeptHash, keptHash, requireDone } from '../redis/kept-hash.ts'
import { createKeys } from '../redis/keys.ts'
import { type ConnectionRole, connectRedis, guarded, type RedisTarget } from '../redis/redis.ts'

/**
 * Keys that are kept under a name, for all jobs: in Redis, their private halves sealed. Calls throw QUEUE_UNAVAILABLE while
 * Redis is gone, but on a worker's connection, where they wait.
 */
export interface KeyRecords {
  /** By name. */
  list(): Promise<KeyRecord[]>
  get(name: string): Promise<KeyRecord | undefined>
  /** With what it signs with: null for a public key. Throws KEY_NOT_FOUND; CREDENTIALS_INVALID where that cannot be opened. */
  open(name: string): Promise<{ record: KeyRecord; secret: KeySecret | null }>
  /** Writes it where `seen` (undefined: none) still is what is kept, else throws PRECONDITION_FAILED. */
  put(name: string, settings: KeySettings, seen: KeyRecord | undefined): Promise<KeyRecord>
  /** Throws PRECONDITION_FAILED. */
  remove(name: string, seen: KeyRecord): Promise<void>
  /** The signatures that keys made in the last seven days. */
  readonly signatures: MadeSignatures
  /** Seals under the newest key what is sealed under an older one; nobody sees another record by that. */
  reseal(): Promise<Resealed>
  close(): void
}

/** By the key's fingerprint and the digest of what was signed. Whoever recalls one has to check it: it lies in clear. */
export interface MadeSignatures {
  recall(fingerprint: string, digest: string): Promise<Buffer | undefined>
  remember(fingerprint: string, digest: string, signature: Buffer): Promise<void>
}

export interface KeyRecordsOptions {
  redis: RedisTarget
  role: ConnectionRole
  /** LAYERD_REDIS_PREFIX, default `layerd`. */
  prefix?: string
  /** All processes of one layerd share them. */
  secretKey: SecretKeys
  logger?: Logger
  clock?: Clock
}

const MAX_KEYS = 200
/** As long as what was learnt of a package (hints/known-packages.ts). */
const SIGNATURE_SECONDS = 7 * 86_400

interface Kept extends KeyRecord {
  readonly sealed: string | null
  /** As it lies in Redis. */
  readonly text: string
}

/** Opens a connection of its own. */
export function createKeyRecords({ clock = systemClock, ...options }: KeyRecordsOptions): KeyRecords {
  const vault = createVault(options.secretKey)
  const table = openTable(options)
  const seenAgain = async (name: string, seen: KeyRecord | undefined): Promise<Kept | undefined> => {
    const before = await table.get(name)
    if (before?.revision !== seen?.revision) throw changedMeanwhile(toldOf(name))
    return before
  }
  return {
    list: async () => (await table.all()).map(told),
    async get(name) {
      const one = await table.get(name)
      return one && told(one)
    },
    async open(name) {
      const one = await table.get(name)
      if (!one) throw keyNotFound(name)
      return { record: told(one), secret: opened(vault, one) }
    },
    async put(name, { secret, ...settings }, seen) {
      const before = await seenAgain(name, seen)
      const createdAt = new Date(clock.now()).toISOString()
      const record = { ...settings, name, createdAt, revision: randomUUID() }
      const next = parsed(JSON.stringify({ ...record, sealed: secret && vault.seal(sealName(record), secret) }))
      await replace(table, name, before, next)
      return told(next)
    },
    async remove(name, seen) {
      await replace(table, name, await seenAgain(name, seen), undefined)
    },
    signatures: table.signatures,
    reseal: async () =>
      await resealAll(await table.all(), vault, {
        nameOf: ({ name }) => name,
        sealedOf: ({ sealed }) => [sealed],
        anew: (one) => sealedAnew(vault, one),
        replace: (before, next) => table.replace(before.name, before, next),
      }),
    close: () => table.close(),
  }
}

/** Whoever can write to Redis can put no other public half, and no other name, to what is sealed. */
function sealName({ name, fingerprint }: Pick<KeyRecord, 'name' | 'fingerprint'>): string {
  return `key ${name} ${fingerprint}`
}

function opened(vault: Vault, one: Kept): KeySecret | null {
  return one.sealed === null ? null : (vault.open(sealName(one), one.sealed) as KeySecret)
}

function told({ sealed: _sealed, text: _text, ...record }: Kept): KeyRecord {
  return record
}

function parsed(text: string): Kept {
  return { ...(JSON.parse(text) as Omit<Kept, 'text'>), text }
}

function sealedAnew(vault: Vault, one: Kept): Kept {
  const { text: _text, ...record } = one
  return parsed(JSON.stringify({ ...record, sealed: vault.seal(sealName(one), opened(vault, one)) }))
}

/** Throws PRECONDITION_FAILED, REQUEST_INVALID. */
async function replace(table: Table, name: string, before: Kept | undefined, next: Kept | undefined): Promise<void> {
  requireDone(await table.replace(name, before, next), { what: toldOf(name), most: `${MAX_KEYS} keys` })
}

interface Table extends KeptHash<Kept> {
  readonly signatures: MadeSignatures
  close(): void
}

function openTable({ role, logger, prefix, redis: target }: Omit<KeyRecordsOptions, 'secretKey' | 'clock'>): Table {
  const redis = connectRedis(target, { role, name: 'layerd-keys', ...(logger ? { logger } : {}) })
  const keys = createKeys(prefix)
  return {
    ...keptHash(redis, { key: keys.signingKeys, most: MAX_KEYS, parse: parsed }),
    signatures: {
      recall: async (...place) => (await guarded(() => redis.getBuffer(keys.madeSignature(...place)))) ?? undefined,
      async remember(fingerprint, digest, signature) {
        const place = keys.madeSignature(fingerprint, digest)
        await guarded(() => redis.set(place, signature, 'EX', SIGNATURE_SECONDS))
      },
    },
    close: () => redis.disconnect(),
  }
}

/** Says where they are, and not which there are: a job's words go to whoever may read jobs. */
export function keyNotFound(name: string): AppError {
  return new AppError('KEY_NOT_FOUND', `there is no key "${name}"`, {
    hint: 'GET /v1/keys (layerd keys) lists the keys that are kept; PUT /v1/keys/{name} (layerd keys add) keeps one.',
    details: { keyRef: name },
  })
}

function toldOf(name: string): string {
  return `the key ${name}`
}
