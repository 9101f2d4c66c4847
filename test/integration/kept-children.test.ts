import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { loadConfig } from '../../src/config/config.ts'
import type { NodeProgram } from '../../src/daemon/child.ts'
import { openDataDirectory } from '../../src/daemon/data-directory.ts'
import { keepApi } from '../../src/daemon/kept-api.ts'
import { KeptChildren } from '../../src/daemon/kept-children.ts'
import { keepWorkers } from '../../src/daemon/kept-workers.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 ** 2

/** Says its role and its heap's limit in MiB; where a file `full` lies beside it, it takes that away and fills its heap. */
const PROGRAM = `
  import { rmSync } from 'node:fs'
  import { getHeapStatistics } from 'node:v8'
  let full = true
  try { rmSync(new URL('full', import.meta.url)) } catch { full = false }
  const kept = []
  while (full) kept.push(new Array(1000).fill(Math.random()))
  process.send({ said: [process.argv[2], Math.round(getHeapStatistics().heap_size_limit / ${MIB})] })
  process.send({ layerdApi: 'listening', url: 'http://127.0.0.1:1', port: 1 })
  process.send({ layerdApi: 'serving' })
  process.on('SIGTERM', () => process.exit(0))
  setInterval(() => undefined, 60_000)
`

async function bed(t: TestContext, heap: string) {
  const folder = await tempDir(t)
  const main = join(folder, 'main.mjs')
  await writeFile(main, PROGRAM)
  const lines: Array<Record<string, unknown>> = []
  const logger = pino({}, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) })
  let stderr = ''
  const children = new KeptChildren({ logger, env: process.env, stderr: (text) => void (stderr += text) })
  t.after(() => children.stop(10_000))
  const said: unknown[] = []
  const onStarted = (child: { on(event: 'message', listener: (message: unknown) => void): unknown }) =>
    void child.on('message', (message) => {
      const { said: words } = message as { said?: unknown }
      if (words !== undefined) said.push(words)
    })
  const redis = await startRedis(t, { tcp: true })
  const config = loadConfig({
    HOME: folder,
    LAYERD_DATA_DIR: join(folder, 'data'),
    LAYERD_REDIS_URL: redis.url,
    LAYERD_WORKERS: '1',
    LAYERD_API_HEAP: heap,
    LAYERD_WORKER_HEAP: heap,
  })
  const program: NodeProgram = { node: process.execPath, flags: [], main }
  return { folder, children, config, program, onStarted, logger, lines, said, stderr: () => stderr }
}

/** V8 counts its young generation beside what the setting says. */
const isAbout = (said: unknown, role: string, mib: number) => {
  const [of, limit] = said as [string, number]
  return of === role && limit >= mib && limit < mib + 256
}

test('a worker whose heap is full is told so, and another one takes its place with the same limit', async (t) => {
  const { folder, children, config, program, onStarted, logger, lines, said, stderr } = await bed(t, '80MiB')
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  await writeFile(join(folder, 'full'), '')
  const kept = keepWorkers(children, { config, directory, program, onStarted, logger })
  t.after(() => kept[Symbol.dispose]())
  await waitFor('the second worker', () => said.length === 1)
  assert.ok(isAbout(said[0], 'worker', 80), String(said[0]))
  const [end] = lines.filter(({ msg }) => String(msg).includes('has ended'))
  assert.equal(end?.['msg'], 'a worker process has ended; another one takes its place')
  assert.equal(end['reason'], 'its heap was full')
  assert.match(String(end['lastLine']), /JavaScript heap out of memory/)
  assert.match(stderr(), /JavaScript heap out of memory/, 'what it said goes on')
})

test('an API whose heap is full at its first start is no wrong setting: it ends with the reason', async (t) => {
  const { folder, children, config, program, onStarted, logger, said } = await bed(t, '80MiB')
  await writeFile(join(folder, 'full'), '')
  await assert.rejects(keepApi(children, { config, program, onStarted, logger }), {
    message: /^the API did not come up, its heap was full: .*JavaScript heap out of memory/,
  })
  assert.deepEqual(said, [])
})

test('an API has the heap that is set, and comes back at the port that it had', async (t) => {
  const { children, config, program, onStarted, logger, said, lines } = await bed(t, '100MiB')
  let pid = 0
  const first = await keepApi(children, {
    config,
    program,
    onStarted: (child) => {
      pid = child.pid ?? 0
      onStarted(child)
    },
    logger,
  })
  assert.deepEqual(first, { url: 'http://127.0.0.1:1' })
  process.kill(pid, 'SIGKILL')
  await waitFor('the second one', () => said.length === 2)
  for (const one of said) assert.ok(isAbout(one, 'serve', 100), String(one))
  await waitFor('it to be told', () => lines.some(({ msg }) => msg === 'the API serves again'))
})
