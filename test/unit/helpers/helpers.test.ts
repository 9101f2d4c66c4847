import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { CleanupStack } from '../../helpers/cleanup.ts'
import { leftovers } from '../../helpers/processes/leftovers.ts'
import { registryPrograms, startDockerRegistry } from '../../helpers/registries/docker-registry.ts'
import { processExists, runProcess, startProcess } from '../../helpers/processes/processes.ts'
import { startRedis } from '../../helpers/redis/redis.ts'
import { tempDir } from '../../helpers/temp-dir.ts'
import { waitFor } from '../../helpers/wait-for.ts'

test('clean-up runs the newest first, also past a step that fails', async () => {
  const order: string[] = []
  let path = ''
  await assert.rejects(async () => {
    await using stack = new CleanupStack()
    path = await tempDir(stack)
    stack.after(async () => {
      throw new Error('this one fails')
    })
    stack.after(async () => {
      order.push(existsSync(path) ? 'folder still there' : 'folder gone')
    })
  }, /this one fails/)
  assert.deepEqual(order, ['folder still there'])
  assert.equal(existsSync(path), false)
})

test('a wait ends with its bound and says what it waited for', async () => {
  await assert.rejects(
    waitFor('the moon', () => false, { timeoutMs: 30 }),
    /waited 30 ms for the moon/,
  )
})

test('a process that ignores SIGTERM is gone after the grace time', async () => {
  let pid = 0
  {
    await using stack = new CleanupStack()
    const child = await startProcess(stack, 'sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'], {
      graceMs: 100,
    })
    await child.waitForOutput(/ready/)
    pid = child.pid
  }
  assert.equal(processExists(pid), false)
})

test('what a test starts meets the same surroundings wherever the tests run', async (t) => {
  const elsewhere = { CI: 'true', TERM: 'dumb', NO_COLOR: '1', COLUMNS: '20', LC_ALL: 'C', TZ: 'Asia/Kolkata' }
  const before = Object.fromEntries(Object.keys(elsewhere).map((name) => [name, process.env[name]]))
  t.after(() => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  Object.assign(process.env, elsewhere)
  const names = Object.keys(elsewhere)
  const ended = await runProcess(t, 'sh', ['-c', names.map((name) => `echo "${name}=\$${name}"`).join('\n')])
  assert.equal(ended.stdout, 'CI=\nTERM=xterm\nNO_COLOR=\nCOLUMNS=\nLC_ALL=\nTZ=UTC\n')
  const own = await runProcess(t, 'sh', ['-c', 'echo $CI'], { env: { CI: 'asked for' } })
  assert.equal(own.stdout, 'asked for\n')
})

test('a test process that is told to end takes its processes and folders along', async (t) => {
  const helpers = new URL('../../helpers/', import.meta.url).href
  const program = `
    import { startProcess } from '${helpers}processes/processes.ts'
    import { tempDir } from '${helpers}temp-dir.ts'
    const owner = { after() {} }
    const folder = await tempDir(owner)
    const { pid } = await startProcess(owner, 'sleep', ['60'])
    console.log('made', folder, pid)`
  const child = await startProcess(t, process.execPath, ['--input-type=module-typescript', '-e', program])
  const [, folder = '', pid = ''] = await child.waitForOutput(/made (\S+) (\d+)/)
  assert.equal(existsSync(folder), true)
  assert.deepEqual(await child.stop(), { code: 143, signal: null })
  assert.equal(existsSync(folder), false)
  await waitFor('sleep to be gone', () => !processExists(Number(pid)))
})

test('a process that ends without the awaited line fails the wait at once, with what it printed', async (t) => {
  const child = await startProcess(t, 'sh', ['-c', 'echo something else >&2; exit 3'])
  await assert.rejects(child.waitForOutput(/ready/), /ended before it printed[^]*something else/)
  assert.deepEqual(await child.exit, { code: 3, signal: null })
  const echo = await runProcess(t, 'cat', [], { input: 'hello' })
  assert.equal(echo.stdout, 'hello')
})

test('a Redis keeps what it acknowledged over a kill and a start', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  const client = new Redis(redis.url)
  client.on('error', () => {})
  t.after(() => client.disconnect())
  await client.set('key', 'value')
  await redis.kill()
  await redis.start()
  assert.equal(await client.get('key'), 'value')
})

for (const program of registryPrograms()) {
  test(`${program} asks for its password and comes back at the same address`, async (t) => {
    const registry = await startDockerRegistry(t, { program, htpasswd: { user: 'myuser', password: 'mypass' } })
    const headers = { authorization: `Basic ${Buffer.from('myuser:mypass').toString('base64')}` }
    assert.equal((await fetch(`${registry.url}/v2/`)).status, 401)
    assert.equal((await fetch(`${registry.url}/v2/`, { headers })).status, 200)
    await registry.restart()
    assert.equal((await fetch(`${registry.url}/v2/`, { headers })).status, 200)
    assert.match(registry.version, /^[23]\./)
  })
}

test('a registry serves the storage folder it is given and leaves it there', async (t) => {
  if (registryPrograms().length === 0) return t.skip('no registry program on PATH')
  const storage = join(await tempDir(t), 'storage')
  await using stack = new CleanupStack()
  const registry = await startDockerRegistry(stack, { storage })
  const opened = await fetch(`${registry.url}/v2/some/repo/blobs/uploads/`, { method: 'POST' })
  assert.equal(opened.status, 202)
  await stack[Symbol.asyncDispose]()
  assert.equal(existsSync(join(storage, 'docker')), true)
  await writeFile(join(storage, 'still-writable'), '')
})

test('what a process leaves is found: files, connections, keys of jobs that run', async (t) => {
  const folder = await tempDir(t)
  const server = createServer().listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const redis = new Redis((await startRedis(t)).clientOptions)
  t.after(() => redis.disconnect())
  const places = { redis, resting: [process.pid], farEnds: [host] }
  assert.deepEqual(await leftovers(places), [])

  const socket = createConnection(Number(host.split(':')[1]), '127.0.0.1')
  await once(socket, 'connect')
  const file = await open(join(folder, 'blob'), 'w')
  await redis.hset('{layerd}:claim:a/b@sha256:1', 'token', 'x', 'job', 'j')
  await redis.hset('{layerd}:job:j', 'endedAt', 'null')
  await redis.set('{layerd}:bull:host:1:lock', 'held')
  const found = await leftovers(places)
  assert.deepEqual(found.slice(0, 3), [
    '{layerd}:bull:host:1:lock',
    '{layerd}:claim:a/b@sha256:1',
    `process ${process.pid} has ${join(folder, 'blob')} open`,
  ])
  assert.match(found[3] ?? '', new RegExp(`^process ${process.pid} is connected to ${host}`))
  assert.equal(found.length, 4)

  socket.destroy()
  await file.close()
  await redis.flushall()
  await waitFor('all to be gone', async () => (await leftovers(places)).length === 0)
})
