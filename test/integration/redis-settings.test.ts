import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { loadConfig } from '../../src/config/config.ts'
import { openDataDirectory } from '../../src/daemon/data-directory.ts'
import { joinRedis } from '../../src/daemon/shared-id.ts'
import { defer } from '../helpers/cleanup.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { tempDir } from '../helpers/temp-dir.ts'

test('what Redis refuses at the start is said in one line that names the setting, and no password', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  const admin = new Redis(redis.clientOptions)
  defer(t, () => admin.disconnect())
  await admin.call('ACL', 'SETUSER', 'reader', 'on', '>geheim', '~*', '+get', '+mget', '+info', '+hello')
  await admin.call('CONFIG', 'SET', 'requirepass', 'right')
  const path = await tempDir(t)
  const directory = await openDataDirectory({ path, secretKeyFile: join(path, 'secret.key') })
  const { host } = new URL(redis.url)
  const WRONG: ReadonlyArray<readonly [url: string, said: RegExp]> = [
    [`redis://:geheim-too@${host}`, /WRONGPASS/],
    [`redis://${host}`, /NOAUTH/],
    [`redis://reader:geheim@${host}`, /NOPERM|no permissions/],
    [`redis://:right@${host}/99`, /DB index is out of range/],
  ]
  for (const [url, said] of WRONG) {
    const config = loadConfig({ LAYERD_REDIS_URL: url, LAYERD_DATA_DIR: path })
    await assert.rejects(
      joinRedis(config, directory).then(() => assert.fail(url)),
      (error: Error & { code: string; hint: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        assert.ok(error.message.startsWith(`LAYERD_REDIS_URL: Redis at redis://${host}`), error.message)
        assert.match(error.message, said)
        assert.doesNotMatch(error.message + error.hint, /geheim|right/)
        return true
      },
    )
  }
  await joinRedis(loadConfig({ LAYERD_REDIS_URL: `redis://:right@${host}`, LAYERD_DATA_DIR: path }), directory)
})
