import type { Redis } from 'ioredis'
import type { SavedUpload, UploadKey, UploadPlace } from '../content/checkpoint.ts'
import type { Clock } from '../lib/clock.ts'
import type { Vault } from './credentials.ts'
import { type Keys, parseUploadKey } from './keys.ts'
import type { JobCredentials } from './requests.ts'
import type { Scripts } from './scripts.ts'
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

/**
 * Hands to `giveUp`, which tells the registry and must not throw, the sessions that runs of a job noted which are over, and
 * the saved uploads of canceled jobs; then forgets them. Doing so twice does no harm: a session that is gone is gone.
 */
export async function tidyJobs(
  context: LeftUploadContext,
  giveUp: (left: LeftUpload) => Promise<void>,
): Promise<number> {
  const { redis, keys, clock, scripts } = context
  const until = clock.now() - GRACE_MS
  const ids = await redis.zrangebyscore(keys.tidy, '-inf', until)
  let given = 0
  for (const id of ids) {
    const [state, epoch] = await redis.hmget(keys.job(id), 'state', 'epoch')
    const active = state === 'running' || state === 'canceling'
    const sessions = await strayNotes(context, id, { epoch: Number(epoch), active })
    const uploads = state === 'canceled' ? await leftUploads(context, id) : []
    const access = await accessOf(context, id)
    const left = [...sessions, ...uploads].flatMap(({ place, location }) => (place ? [{ place, location }] : []))
    await Promise.all(left.map((session) => giveUp({ ...session, ...access })))
    given += left.length
    const names = [sessions.map(({ name }) => name).join(' '), ...uploads.flatMap(({ name, sealed }) => [name, sealed])]
    await scripts.job('tidied', { id, key: keys.job(id), prefix: keys.prefix, now: clock.now() }, [until, ...names])
  }
  return given
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
