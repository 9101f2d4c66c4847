import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { loadConfig } from '../../src/config/config.ts'
import { openDataDirectory } from '../../src/daemon/data-directory.ts'
import { joinRedis } from '../../src/daemon/shared-id.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { type Cleanup, defer } from '../helpers/cleanup.ts'
import { startRedis, type TestRedis } from '../helpers/redis/redis.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const unstopped = { logger: silentLogger, stop: new Promise<never>(() => {}) }

async function dataDirectory(t: Cleanup) {
  const path = await tempDir(t)
  const directory = await openDataDirectory({ path, secretKeyFile: join(path, 'secret.key') })
  const configFor = (url: string) => loadConfig({ LAYERD_REDIS_URL: url, LAYERD_DATA_DIR: path })
  return { directory, configFor }
}

function adminOf(t: Cleanup, redis: TestRedis): Redis {
  const admin = new Redis(redis.clientOptions)
  defer(t, () => admin.disconnect())
  return admin
}

test('what Redis refuses at the start is said in one line that names the setting, and no password', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  const admin = adminOf(t, redis)
  await admin.call('ACL', 'SETUSER', 'reader', 'on', '>geheim', '~*', '+get', '+mget', '+info', '+hello', '+select')
  await admin.call('CONFIG', 'SET', 'requirepass', 'right')
  const { directory, configFor } = await dataDirectory(t)
  const { host } = new URL(redis.url)
  const WRONG: ReadonlyArray<readonly [url: string, said: RegExp]> = [
    [`redis://:geheim-too@${host}`, /WRONGPASS/],
    [`redis://${host}`, /NOAUTH/],
    [`redis://reader:geheim@${host}`, /NOPERM|no permissions/],
    [`redis://:right@${host}/99`, /DB index is out of range/],
  ]
  for (const [url, said] of WRONG) {
    await assert.rejects(joinRedis(configFor(url), directory, unstopped), (error: Error & { code: string }) => {
      assert.equal(error.code, 'CONFIG_INVALID', url)
      assert.ok(error.message.startsWith(`LAYERD_REDIS_URL: Redis at redis://${host}`), error.message)
      assert.match(error.message, said)
      assert.doesNotMatch(error.message, /geheim|right/)
      return true
    })
  }
  assert.equal(await joinRedis(configFor(`redis://:right@${host}`), directory, unstopped), true)
})

test('Redis is claimed by one data directory, and a newer schema is refused', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  const one = await dataDirectory(t)
  const other = await dataDirectory(t)
  const config = one.configFor(redis.url)
  for (const _ of ['first', 'again']) assert.equal(await joinRedis(config, one.directory, unstopped), true)
  await assert.rejects(joinRedis(other.configFor(redis.url), other.directory, unstopped), (error: Error) => {
    assert.ok(error.message.includes(one.directory.id) && error.message.includes(other.directory.id), error.message)
    return true
  })
  await adminOf(t, redis).set('{layerd}:schema', '2')
  await assert.rejects(joinRedis(config, one.directory, unstopped), { code: 'CONFIG_INVALID', message: /schema 2/ })
})

test('waiting for Redis is told, ends when it is there, and at once when the process is to stop', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  const { directory, configFor } = await dataDirectory(t)
  await redis.stop()
  const lines: string[] = []
  const logger = pino({}, { write: (line: string) => void lines.push(line) })
  const stop = Promise.withResolvers<string>()
  const joining = joinRedis(configFor(redis.url), directory, { logger, stop: stop.promise })
  await waitFor('a line', async () => lines.length > 0)
  assert.match(lines[0] ?? '', /"reason":"connect ECONNREFUSED.*"msg":"waiting for Redis"/)
  stop.resolve('SIGTERM')
  assert.equal(await joining, false)

  const again = joinRedis(configFor(redis.url), directory, { ...unstopped, logger })
  await waitFor('another line', async () => lines.length > 1)
  await redis.start()
  assert.equal(await again, true)
})
