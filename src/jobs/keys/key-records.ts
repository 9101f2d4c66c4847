import { randomUUID } from 'node:crypto'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import type { KeyRecord, KeySecret, KeySettings } from '../model/key-record.ts'
import { createVault, type SecretKeys, type Vault } from '../record/credentials.ts'
import { createKeys } from '../redis/keys.ts'
import { type ConnectionRole, connectRedis, guarded, type RedisTarget } from '../redis/redis.ts'
import { createScripts } from '../redis/scripts.ts'

/** Keys that are kept under a name, for all jobs: in Redis, their private halves sealed. Calls throw QUEUE_UNAVAILABLE while Redis is gone, but on a worker's connection, where they wait. */
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
  reseal(): Promise<ResealedKeys>
  close(): void
}

/** By the key's fingerprint and the digest of what was signed. Whoever recalls one has to check it: it lies in clear. */
export interface MadeSignatures {
  recall(fingerprint: string, digest: string): Promise<Buffer | undefined>
  remember(fingerprint: string, digest: string, signature: Buffer): Promise<void>
}

export interface ResealedKeys {
  readonly resealed: number
  /** Under an older key still. */
  readonly older: number
  /** Those of them that do not open: their key is gone. */
  readonly lost: readonly string[]
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
    if (before?.revision !== seen?.revision) throw changed(name)
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
      await table.replace(name, before, next)
      return told(next)
    },
    async remove(name, seen) {
      await table.replace(name, await seenAgain(name, seen), undefined)
    },
    signatures: table.signatures,
    reseal: () => resealAll(table, vault),
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

async function resealAll(table: Table, vault: Vault): Promise<ResealedKeys> {
  const outdated = (await table.all()).filter(({ sealed }) => sealed !== null && !vault.isNewest(sealed))
  const lost: string[] = []
  let resealed = 0
  for (const one of outdated) {
    const { text: _text, ...record } = one
    try {
      const sealed = vault.seal(sealName(one), opened(vault, one))
      await table.replace(one.name, one, parsed(JSON.stringify({ ...record, sealed })))
      resealed += 1
    } catch (error) {
      if (error instanceof AppError && error.code === 'CREDENTIALS_INVALID') lost.push(one.name)
      // Somebody else wrote it meanwhile.
      else if (!(error instanceof AppError) || error.code !== 'PRECONDITION_FAILED') throw error
    }
  }
  return { resealed, older: outdated.length - resealed, lost }
}

interface Table {
  all(): Promise<Kept[]>
  get(name: string): Promise<Kept | undefined>
  /** Throws PRECONDITION_FAILED, REQUEST_INVALID. */
  replace(name: string, before: Kept | undefined, next: Kept | undefined): Promise<void>
  readonly signatures: MadeSignatures
  close(): void
}

function openTable({ role, logger, prefix, redis: target }: Omit<KeyRecordsOptions, 'secretKey' | 'clock'>): Table {
  const redis = connectRedis(target, { role, name: 'layerd-keys', ...(logger ? { logger } : {}) })
  const scripts = createScripts(redis)
  const keys = createKeys(prefix)
  const key = keys.signingKeys
  return {
    async all() {
      // Field '' is the version that the script writes.
      const { '': _version, ...fields } = await guarded(() => redis.hgetall(key))
      return Object.values(fields)
        .map(parsed)
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    },
    async get(name) {
      const text = await guarded(() => redis.hget(key, name))
      return text === null ? undefined : parsed(text)
    },
    async replace(name, before, next) {
      const args = [name, before?.text ?? '', next?.text ?? '', MAX_KEYS, randomUUID()]
      const done = await guarded(() => scripts.other('replace-registry', key, args))
      if (done === 0) throw changed(name)
      if (done === -1) throw tooMany()
    },
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

function changed(name: string): AppError {
  return new AppError('PRECONDITION_FAILED', `the key ${name} is not what the request takes it for`, {
    hint: 'Read it again (GET), and send its ETag in If-Match.',
  })
}

function tooMany(): AppError {
  return new AppError('REQUEST_INVALID', `more than ${MAX_KEYS} keys are not kept`, {
    hint: 'Remove some that nobody uses (DELETE).',
  })
}
