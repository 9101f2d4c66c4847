import { randomUUID } from 'node:crypto'
import { registryId } from '../../content/reference.ts'
import type { RegistryLimits } from '../../content/limits/registry-limits.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import type { RegistryRecord, RegistrySecret, RegistrySettings } from '../model/registry-record.ts'
import { changedParts, type WaySecrets } from '../model/registry-way.ts'
import { createVault, type SecretKeys, type Vault } from '../record/credentials.ts'
import { type Resealed, resealAll } from '../record/reseal.ts'
import { changedMeanwhile, requireDone } from '../redis/kept-hash.ts'
import {
  createKeptRegistries,
  type Kept,
  type KeptRegistries,
  type KeptRegistriesOptions,
  MAX_REGISTRIES,
  parsed,
} from './kept-registries.ts'
import { toldSecret } from './told-secret.ts'
import { limitsAt, nearestTo, onItsWay, placeOf } from './registry-places.ts'
import { openedWay, placeName, sealedWay, toldWay, wantedAgain, waySecrets } from './kept-way.ts'

/**
 * What is kept of registries, in Redis. What is there is looked at by `refresh`, and told without waiting by `known`: a
 * change that was made before a refresh began is known after it. Calls throw QUEUE_UNAVAILABLE while Redis is gone, but on a
 * worker's connection, where they wait.
 */
export interface RegistryRecords {
  refresh(): Promise<void>
  /** As of the last refresh. `registry` in any of its names. */
  known(registry: string): RegistryRecord | undefined
  /** That with credentials whose path is the longest that begins the repository, be it for this repository or not. */
  nearest(registry: string, repository: string): RegistryRecord | undefined
  /** Whether anything is kept of it, or below a path of it. */
  keeps(registry: string): boolean
  /** Of `host[:port]` as a URL has it too, without the port of its scheme. */
  limitsOf(host: string): RegistryLimits | undefined
  /** Throws CREDENTIALS_INVALID where it cannot be opened: another key, or somebody changed what lies in Redis. */
  secretOf(record: RegistryRecord): RegistrySecret | undefined
  /** What a record's way does not tell. Throws CREDENTIALS_INVALID likewise. */
  waySecretsOf(record: RegistryRecord): WaySecrets
  /** By host. */
  list(): Promise<RegistryRecord[]>
  get(place: string): Promise<RegistryRecord | undefined>
  /**
   * Writes it where `seen` (undefined: none) still is what is kept, else throws PRECONDITION_FAILED. Throws BODY_INVALID where kept
   * credentials would go another way than they were given for.
   */
  put(place: string, settings: RegistrySettings, seen: RegistryRecord | undefined): Promise<RegistryRecord>
  /** Throws PRECONDITION_FAILED. */
  remove(place: string, seen: RegistryRecord): Promise<void>
  /** Seals under the newest key what is kept under an older one; nobody sees another record by that. */
  reseal(): Promise<Resealed>
  close(): void
}

export interface RegistryRecordsOptions extends KeptRegistriesOptions {
  /** All processes of one layerd share them. */
  secretKey: SecretKeys
  clock?: Clock
}

/** Opens a connection of its own. */
export function createRegistryRecords(options: RegistryRecordsOptions): RegistryRecords {
  const { clock = systemClock } = options
  const vault = createVault(options.secretKey)
  const kept = createKeptRegistries(options)
  /** Each record goes with what was sealed for it, whatever is kept by now. */
  const keptOf = new WeakMap<RegistryRecord, Kept>()
  const told = (one: Kept): RegistryRecord => {
    const { sealed: _sealed, sealedWay: _sealedWay, text: _text, ...record } = one
    keptOf.set(record, one)
    return record
  }
  const known = (place: string): RegistryRecord | undefined => {
    const one = kept.known(placeOf(place))
    return one && told(one)
  }
  return {
    refresh: () => kept.refresh(),
    known,
    nearest(registry, repository) {
      const one = nearestTo(kept, registry, repository)
      return one && told(one)
    },
    keeps: (registry) => kept.keeps(registryId(registry)),
    limitsOf: (host) => limitsAt(kept, host),
    secretOf(record) {
      const one = keptOf.get(record)
      return one && opened(vault, one)
    },
    waySecretsOf(record) {
      const one = keptOf.get(record)
      return one ? openedWay(vault, one) : {}
    },
    async list() {
      await kept.refresh()
      return kept.all().map(told)
    },
    async get(place) {
      await kept.refresh()
      return known(place)
    },
    async put(place, given, seen) {
      const host = placeOf(place)
      const before = await seenAgain(kept, host, seen)
      const settings = onItsWay(kept, host, given)
      const next = recordOf(vault, { host, settings, before }, new Date(clock.now()).toISOString())
      await replace(kept, host, before, next)
      return told(next)
    },
    async remove(place, seen) {
      const host = placeOf(place)
      await replace(kept, host, await seenAgain(kept, host, seen), undefined)
    },
    reseal: () => reseal(kept, vault),
    close: () => kept.close(),
  }
}

async function reseal(kept: KeptRegistries, vault: Vault): Promise<Resealed> {
  await kept.refresh()
  return await resealAll(kept.all(), vault, {
    nameOf: ({ host }) => host,
    sealedOf: (one) => [one.sealed, one.sealedWay],
    anew: (one) => sealedAnew(vault, one),
    replace: (before, next) => kept.replace(before.host, before, next),
  })
}

function sealedAnew(vault: Vault, one: Kept): Kept {
  const { text: _text, ...record } = one
  const secret = opened(vault, one)
  const sealed = secret ? vault.seal(placeName(one), secret) : null
  return parsed(JSON.stringify({ ...record, sealed, sealedWay: sealedWay(vault, one, openedWay(vault, one)) }))
}

/** What is kept by now. Throws PRECONDITION_FAILED where it is not what was seen. */
async function seenAgain(
  kept: KeptRegistries,
  host: string,
  seen: RegistryRecord | undefined,
): Promise<Kept | undefined> {
  await kept.refresh()
  const before = kept.known(host)
  if (before?.revision !== seen?.revision) throw changedMeanwhile(toldOf(host))
  return before
}

/** Throws PRECONDITION_FAILED. */
async function replace(
  kept: KeptRegistries,
  host: string,
  before: Kept | undefined,
  next: Kept | undefined,
): Promise<void> {
  const done = await kept.replace(host, before, next)
  requireDone(done, { what: toldOf(host), most: `${MAX_REGISTRIES} registries` })
}

function recordOf(
  vault: Vault,
  { host, settings, before }: { host: string; settings: RegistrySettings; before: Kept | undefined },
  updatedAt: string,
): Kept {
  const { plainHttp, repositories, limits = null } = settings
  const place = { host, plainHttp, way: toldWay(settings.way, before?.way) }
  const moves = before === undefined ? [] : changedParts(before, place)
  if (settings.secret === undefined && before?.sealed && moves.length > 0) {
    throw wantedAgain(host, { moves, pointer: '/credentials', what: 'credentials' })
  }
  const open = before && { way: before.way, open: () => openedWay(vault, before) }
  const secrets = waySecrets({ host, settings: settings.way, moves }, open)
  const secret = settings.secret === undefined ? before && opened(vault, before) : settings.secret
  const record = {
    ...place,
    repositories,
    credentials: secret ? toldSecret(secret) : null,
    limits,
    updatedAt,
    revision: randomUUID(),
    sealed: secret ? vault.seal(placeName(place), secret) : null,
    sealedWay: sealedWay(vault, place, secrets),
  }
  return parsed(JSON.stringify(record))
}

function opened(vault: Vault, kept: Kept): RegistrySecret | undefined {
  return kept.sealed === null ? undefined : (vault.open(placeName(kept), kept.sealed) as RegistrySecret)
}

function toldOf(registry: string): string {
  return `what is kept of ${registry}`
}
