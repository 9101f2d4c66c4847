import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startEmbeddedRedis } from '../../src/daemon/embedded-redis.ts'
import { exitText } from '../../src/daemon/redis-exit.ts'
import { findRedisServer } from '../../src/daemon/redis-program.ts'
import { askRedis, redisSocketPath } from '../../src/daemon/redis-socket.ts'
import { connectRedis } from '../../src/jobs/redis/redis.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { processExists, startProcess } from '../helpers/processes/processes.ts'
import { smallDisk } from '../helpers/small-disk.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const program = await findRedisServer(undefined, process.env['PATH'] ?? '')

async function start(t: TestContext, dataDir: string) {
  const redis = await startEmbeddedRedis({
    dataDir,
    socketPath: redisSocketPath(dataDir),
    program,
    maxMemory: 64 * 1024 ** 2,
    logger: silentLogger,
  })
  t.after(() => redis.stop())
  return redis
}

/** Another process that starts the Redis of the directory and then does nothing. */
async function startElsewhere(t: TestContext, dataDir: string) {
  const file = join(dataDir, 'other.ts')
  const src = new URL('../../src/', import.meta.url).href
  await writeFile(
    file,
    `import { startEmbeddedRedis } from '${src}daemon/embedded-redis.ts'
     import { silentLogger } from '${src}lib/logger.ts'
     const redis = await startEmbeddedRedis({
       dataDir: '${dataDir}', socketPath: '${redisSocketPath(dataDir)}', program: '${program}', maxMemory: 0, logger: silentLogger })
     console.log(redis.adopted ? 'adopted' : 'started')`,
  )
  const child = await startProcess(t, process.execPath, [file])
  await child.waitForOutput(/adopted|started/)
  return child
}

async function redisPid(dataDir: string): Promise<number> {
  const answer = await askRedis(redisSocketPath(dataDir), 'INFO server')
  return Number(/process_id:(\d+)/.exec(answer ?? '')?.[1])
}

test('it serves on a socket for this user alone, and keeps what it knew over a stop', async (t) => {
  const dataDir = await shortTempDir(t)
  const first = await start(t, dataDir)
  assert.equal((await stat(first.socketPath)).mode & 0o777, 0o700)
  const client = connectRedis({ socketPath: first.socketPath }, { role: 'worker' })
  t.after(() => client.disconnect())
  await client.set('kept', 'yes')
  client.disconnect()
  await first.stop()
  await first.ended
  assert.equal(await askRedis(first.socketPath, 'PING'), undefined)

  const second = await start(t, dataDir)
  const again = connectRedis({ socketPath: second.socketPath }, { role: 'worker' })
  t.after(() => again.disconnect())
  assert.equal(await again.get('kept'), 'yes')
  assert.deepEqual(await again.config('GET', 'maxmemory-policy'), ['maxmemory-policy', 'noeviction'])
})

test('what it has acknowledged outlives a SIGKILL at any moment', async (t) => {
  const dataDir = await shortTempDir(t)
  const payload = 'x'.repeat(20_000)
  let acknowledged = 0
  for (let round = 0; round < 2; round += 1) {
    const redis = await start(t, dataDir)
    const pid = await redisPid(dataDir)
    const client = connectRedis({ socketPath: redis.socketPath }, { role: 'worker' })
    t.after(() => client.disconnect())
    assert.equal(Number(await client.get('count')), acknowledged)
    // With everysec a server holds back what it has acknowledged while an fsync is under way; that is when it is killed.
    const heldBack = /aof_buffer_length:[1-9]\d*\s[^]*aof_pending_bio_fsync:1/
    for (const end = performance.now() + 1200; performance.now() < end; ) {
      await client.set('payload', payload)
      acknowledged = await client.incr('count')
      if (heldBack.test(await client.info('persistence'))) break
    }
    process.kill(pid, 'SIGKILL')
    client.disconnect()
    await redis.ended
  }
  const last = await start(t, dataDir)
  const count = connectRedis({ socketPath: last.socketPath }, { role: 'worker' })
  t.after(() => count.disconnect())
  assert.equal(Number(await count.get('count')), acknowledged)
})

test('it ends when the process that started it is killed', async (t) => {
  const dataDir = await shortTempDir(t)
  const owner = await startElsewhere(t, dataDir)
  const pid = await redisPid(dataDir)
  assert.ok(processExists(pid))
  await owner.kill()
  await waitFor('Redis to end', () => !processExists(pid))
})

test('one that still runs is taken over, and ends with who took it over', async (t) => {
  const dataDir = await shortTempDir(t)
  const owner = await startElsewhere(t, dataDir)
  const pid = await redisPid(dataDir)
  const taker = await startElsewhere(t, dataDir)
  assert.match(taker.stdout(), /adopted/)
  assert.equal(await redisPid(dataDir), pid)
  await taker.kill()
  await waitFor('Redis to end', () => !processExists(pid))
  await owner.stop()
})

test('its end is told at once, and it can be started again on the same socket', async (t) => {
  const dataDir = await shortTempDir(t)
  const redis = await start(t, dataDir)
  process.kill(await redisPid(dataDir), 'SIGKILL')
  await redis.ended
  const again = await start(t, dataDir)
  assert.equal(again.adopted, false)
  assert.equal(again.socketPath, redis.socketPath)
})

test('how it ended is told: the exit code or signal, its last line, a full disk', async (t) => {
  const dataDir = await shortTempDir(t)
  const killed = await start(t, dataDir)
  process.kill(await redisPid(dataDir), 'SIGKILL')
  const exit = await killed.ended
  assert.equal(exit.exitCode, 137)
  assert.match(exitText(exit), /^ended with exit code 137 \(SIGKILL\); its last line: .*ready to accept connections/i)

  const disk = await smallDisk(t, 4)
  if (disk === undefined) return
  const full = await start(t, disk)
  const client = connectRedis({ socketPath: full.socketPath }, { role: 'api' })
  t.after(() => client.disconnect())
  client.on('error', () => undefined)
  await once(client, 'ready')
  await assert.rejects(writeFile(join(disk, 'ballast'), Buffer.alloc(5 * 1024 * 1024)), { code: 'ENOSPC' })
  await assert.rejects(client.set('key', 'x'.repeat(10_000)))
  assert.match(
    exitText(await full.ended),
    /^ended with exit code 1; its disk is full \(0 bytes free\); the last line that its log took: Can't recover from AOF write error/,
  )
})

test('a data directory too deep for a socket gets one in the temporary folder', async (t) => {
  const dataDir = join(await tempDir(t), 'd'.repeat(100))
  await mkdir(dataDir)
  const redis = await start(t, dataDir)
  assert.ok(Buffer.byteLength(redis.socketPath) <= 107, redis.socketPath)
  assert.equal((await stat(dirname(redis.socketPath))).mode & 0o777, 0o700)
  assert.ok((await readdir(join(dataDir, 'redis'))).includes('appendonlydir'))
  await redis.stop()
  await chmod(dirname(redis.socketPath), 0o777)
  await assert.rejects(start(t, dataDir), /is not a folder that only this user may write to/)
  await rm(dirname(redis.socketPath), { recursive: true })
})

test('a server that refuses its folder is told with what it said', async (t) => {
  const dataDir = await shortTempDir(t)
  await mkdir(join(dataDir, 'redis', 'appendonlydir'), { recursive: true })
  await writeFile(join(dataDir, 'redis', 'appendonlydir', 'appendonly.aof.manifest'), 'nonsense\n')
  await assert.rejects(start(t, dataDir), (error: Error & { code: string; hint: string }) => {
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.match(error.message, /the private Redis \(.*\) does not serve: it ended with exit code 1; its last line: ./)
    assert.match(error.hint, /redis\.log/)
    return true
  })
})

test('without a server on PATH one line says what to install or to set', async (t) => {
  const empty = await tempDir(t)
  await assert.rejects(findRedisServer(undefined, empty), (error: Error & { hint: string }) => {
    assert.match(error.message, /neither redis-server nor valkey-server is on PATH/)
    assert.match(error.hint, /apt-get install redis-server.*LAYERD_REDIS_URL/)
    return true
  })
  await assert.rejects(findRedisServer('my-redis', empty), /LAYERD_REDIS_SERVER: my-redis is no program/)
})
