import type { Redis } from 'ioredis'
import type { SavedUpload, UploadKey } from '../content/checkpoint.ts'
import type { Clock } from '../lib/clock.ts'
import type { Vault } from './credentials.ts'
import { type Keys, parseUploadKey } from './keys.ts'
import type { JobCredentials } from './queue.ts'

/** An upload session that a job left open which was canceled while nobody ran it. */
export interface LeftUpload {
  readonly key: UploadKey
  readonly location: string
  readonly credentials: JobCredentials | undefined
  readonly plainHttp: boolean
}

export interface LeftUploadContext {
  redis: Redis
  keys: Keys
  clock: Clock
  vault: Vault
}

/** What comes right after a cancel may be its retry, which goes on with the session. */
const GRACE_MS = 2000

/**
 * Hands the sessions of canceled jobs to `giveUp`, which tells the registry and must not throw, and forgets them. Doing so
 * twice does no harm: a session that is gone is gone.
 */
export async function tidyCanceled(
  context: LeftUploadContext,
  giveUp: (left: LeftUpload) => Promise<void>,
): Promise<number> {
  const { redis, keys, clock } = context
  const ids = await redis.zrangebyscore(keys.tidy, '-inf', clock.now() - GRACE_MS)
  let given = 0
  for (const id of ids) {
    for (const left of await leftUploads(context, id)) {
      await giveUp(left)
      await redis.del(keys.upload(left.key.registry, left.key.repository, left.key.digest))
      given += 1
    }
    // A retry that came in between has taken the job off the list; its uploads and credentials are its own.
    if ((await redis.zrem(keys.tidy, id)) === 1) await redis.del(keys.uploads(id), keys.credentials(id))
  }
  return given
}

async function leftUploads({ redis, keys, vault }: LeftUploadContext, id: string): Promise<LeftUpload[]> {
  const [options, sealed] = await Promise.all([redis.hget(keys.job(id), 'options'), redis.get(keys.credentials(id))])
  const credentials = sealed === null ? undefined : (vault.open(id, sealed) as JobCredentials)
  const { plainHttp = false } = JSON.parse(options ?? '{}') as { plainHttp?: boolean }
  const found: LeftUpload[] = []
  for (const name of await redis.smembers(keys.uploads(id))) {
    const key = parseUploadKey(keys, name)
    const [job, upload] = await redis.hmget(name, 'job', 'upload')
    // Another job may have gone on with it, and have saved nothing yet.
    if (!key || job !== id || !upload || (await isOthers(redis, keys, { id, key }))) continue
    const { location } = vault.open(name, upload) as SavedUpload
    found.push({ key, location, credentials, plainHttp })
  }
  return found
}

async function isOthers(redis: Redis, keys: Keys, { id, key }: { id: string; key: UploadKey }): Promise<boolean> {
  const claim = keys.transferClaim(key.registry, key.repository, key.digest)
  const [token, job] = await redis.hmget(claim, 'token', 'job')
  return token !== null && job !== id
}
