import type { Redis } from 'ioredis'
import type { SavedUpload, UploadKey, UploadPlace } from '../../content/checkpoint.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Vault } from '../record/credentials.ts'
import { type Keys, parseUploadKey } from '../redis/keys.ts'
import type { JobCredentials } from '../model/requests.ts'
import type { Scripts } from '../redis/scripts.ts'
import type { NotedSession } from './session-notes.ts'

/** An upload session that a run of a job left open and nobody goes on with. */
export interface LeftUpload {
  readonly place: UploadPlace
  readonly location: string
  readonly credentials: JobCredentials | undefined
  readonly plainHttp: boolean
}

export interface LeftUploadContext {
  redis: Redis
  keys: Keys
  clock: Clock
  vault: Vault
  scripts: Scripts
  logger: Logger
}

/** Without a place: sealed with another key. */
interface Found {
  name: string
  sealed: string
  place?: UploadPlace
  location: string
}

/** What comes right after a cancel may be its retry, which goes on with the session. */
const GRACE_MS = 2000

/** Before the next try where a registry could not be told: doubled with each, as a registry may be down for long. */
const FIRST_PAUSE_MS = 2000
const LONGEST_PAUSE_MS = 600_000

/** A registry that does not answer takes a while to be left, and must not take the turns of the others. */
const JOBS_OF_A_HOST = 8

/** Tells the registry, and whether it could. */
export type GiveUp = (left: LeftUpload) => Promise<boolean>

/**
 * Hands to `giveUp` the sessions that runs of a job noted which are over, and the saved uploads of canceled jobs; then
 * forgets those of which the registry could be told. Doing so twice does no harm: a session that is gone is gone. The
 * others have another turn, as long as their notes live. A job where that fails keeps its turn.
 */
export async function tidyJobs(context: LeftUploadContext, giveUp: GiveUp): Promise<number> {
  const { redis, keys, clock, logger } = context
  const until = clock.now() - GRACE_MS
  const ids = await firstOfEachHost(context, await redis.zrangebyscore(keys.tidy, '-inf', until))
  const given = await Promise.all(
    ids.map(async (jobId) => {
      try {
        return await tidyJob(context, { id: jobId, until }, giveUp)
      } catch (error) {
        logger.warn({ err: error, jobId }, 'left uploads were not given up')
        return 0
      }
    }),
  )
  return given.reduce((sum, count) => sum + count, 0)
}

async function firstOfEachHost({ redis, keys }: LeftUploadContext, ids: readonly string[]): Promise<string[]> {
  const hosts = await Promise.all(ids.map((id) => redis.hget(keys.job(id), 'host')))
  const counts = new Map<string | null, number>()
  return ids.filter((_, at) => {
    const host = hosts[at] ?? null
    const count = (counts.get(host) ?? 0) + 1
    counts.set(host, count)
    return count <= JOBS_OF_A_HOST
  })
}

async function tidyJob(
  context: LeftUploadContext,
  { id, until }: { id: string; until: number },
  giveUp: GiveUp,
): Promise<number> {
  const { redis, keys, clock, scripts } = context
  const [state, epoch, tries] = await redis.hmget(keys.job(id), 'state', 'epoch', 'tidyTries')
  const active = state === 'running' || state === 'canceling'
  const sessions = await strayNotes(context, id, { epoch: Number(epoch), active })
  const uploads = state === 'canceled' ? await leftUploads(context, id) : []
  const access = await accessOf(context, id)
  // What nobody can read is forgotten.
  const tell = async (found: Found): Promise<boolean> => {
    const { place, location } = found
    return !place || giveUp({ place, location, ...access })
  }
  const [noted, saved] = await Promise.all([partition(sessions, tell), partition(uploads, tell)])
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Number(tries ?? 0))
  const again = noted.no.length + saved.no.length > 0 ? clock.now() + pause : ''
  const names = [
    noted.yes.map(({ name }) => name).join(' '),
    ...saved.yes.flatMap(({ name, sealed }) => [name, sealed]),
  ]
  const target = { id, key: keys.job(id), prefix: keys.prefix, now: clock.now() }
  await scripts.job('tidied', target, [until, again, ...names])
  return [...noted.yes, ...saved.yes].filter(({ place }) => place).length
}

async function partition<T>(all: readonly T[], is: (each: T) => Promise<boolean>): Promise<{ yes: T[]; no: T[] }> {
  const answers = await Promise.all(all.map(is))
  return { yes: all.filter((_, at) => answers[at]), no: all.filter((_, at) => !answers[at]) }
}

async function accessOf({ redis, keys, vault }: LeftUploadContext, id: string) {
  const [options, sealed] = await Promise.all([redis.hget(keys.job(id), 'options'), redis.get(keys.credentials(id))])
  const credentials = sealed === null ? undefined : (unsealed(vault, id, sealed) as JobCredentials | undefined)
  const { plainHttp = false } = JSON.parse(options ?? '{}') as { plainHttp?: boolean }
  return { credentials, plainHttp }
}

/** What runs noted that are over. A run with a later epoch than the record had may have begun since. */
async function strayNotes(
  { redis, keys, vault }: LeftUploadContext,
  id: string,
  { epoch, active }: { epoch: number; active: boolean },
): Promise<Found[]> {
  const notes = Object.entries(await redis.hgetall(keys.openSessions(id)))
  const stray = notes.filter(([name]) => {
    const noted = Number(name.split(':')[0])
    return noted < epoch || (noted === epoch && !active)
  })
  return stray.map(([name, sealed]) => {
    const session = unsealed(vault, keys.openSessions(id), sealed) as NotedSession | undefined
    const found = { name, sealed }
    return session ? { ...found, place: session, location: session.location } : { ...found, location: '' }
  })
}

/** Undefined where it was sealed with another key; one such job must not keep the others from being tidied. */
function unsealed(vault: Vault, name: string, sealed: string): unknown {
  try {
    return vault.open(name, sealed)
  } catch {
    return undefined
  }
}

async function leftUploads({ redis, keys, vault }: LeftUploadContext, id: string): Promise<Found[]> {
  const found: Found[] = []
  for (const name of await redis.smembers(keys.uploads(id))) {
    const key = parseUploadKey(keys, name)
    const [job, sealed] = await redis.hmget(name, 'job', 'upload')
    // Another job may have gone on with it, and have saved nothing yet.
    if (!key || job !== id || !sealed || (await isOthers(redis, keys, { id, key }))) continue
    const saved = unsealed(vault, name, sealed) as SavedUpload | undefined
    const upload = { name, sealed }
    found.push(saved ? { ...upload, place: key, location: saved.location } : { ...upload, location: '' })
  }
  return found
}

async function isOthers(redis: Redis, keys: Keys, { id, key }: { id: string; key: UploadKey }): Promise<boolean> {
  const claim = keys.transferClaim(key.registry, key.repository, key.digest)
  const [token, job] = await redis.hmget(claim, 'token', 'job')
  return token !== null && job !== id
}
