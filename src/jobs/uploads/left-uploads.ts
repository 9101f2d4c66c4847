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

/** A registry that does not answer takes a while to be left, and must not take the turns of the others. */
const JOBS_OF_A_HOST = 8

/**
 * Hands to `giveUp`, which tells the registry, the sessions that runs of a job noted which are over, and the saved uploads
 * of canceled jobs; then forgets them. Doing so twice does no harm: a session that is gone is gone. A job where that
 * fails keeps its turn.
 */
export async function tidyJobs(
  context: LeftUploadContext,
  giveUp: (left: LeftUpload) => Promise<void>,
): Promise<number> {
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
  giveUp: (left: LeftUpload) => Promise<void>,
): Promise<number> {
  const { redis, keys, clock, scripts } = context
  const [state, epoch] = await redis.hmget(keys.job(id), 'state', 'epoch')
  const active = state === 'running' || state === 'canceling'
  const sessions = await strayNotes(context, id, { epoch: Number(epoch), active })
  const uploads = state === 'canceled' ? await leftUploads(context, id) : []
  const access = await accessOf(context, id)
  const left = [...sessions, ...uploads].flatMap(({ place, location }) => (place ? [{ place, location }] : []))
  await Promise.all(left.map((session) => giveUp({ ...session, ...access })))
  const names = [sessions.map(({ name }) => name).join(' '), ...uploads.flatMap(({ name, sealed }) => [name, sealed])]
  await scripts.job('tidied', { id, key: keys.job(id), prefix: keys.prefix, now: clock.now() }, [until, ...names])
  return left.length
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
