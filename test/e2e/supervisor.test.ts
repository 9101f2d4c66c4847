import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { defer } from '../helpers/cleanup.ts'
import { freePort } from '../helpers/network/ports.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import {
  apiOf,
  childrenOf,
  MAIN,
  endedOver,
  publishOver,
  readProcess,
  readyUrl,
  startLayerd,
  workersOf,
} from '../helpers/processes/layerd.ts'
import type { RunningProcess } from '../helpers/processes/processes.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

async function registryOf(t: TestContext) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}

/** What the supervisor said when one of its children had ended. */
function ends(layerd: RunningProcess): Array<Record<string, unknown>> {
  const lines = layerd
    .stdout()
    .split('\n')
    .filter((line) => line.includes('has ended; another one takes its place'))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

const isReady = async (api: string) => (await fetch(`${api}/readyz`).catch(() => undefined))?.ok === true

test('an API that is killed comes back on the port that it had, and no job notices', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 2, layerBytes: 1000 })
  const registry = await registryOf(t)
  const held = Promise.withResolvers<void>()
  // What failed would wait for it for ever.
  defer(t, () => held.resolve())
  registry.fail({ method: 'PUT', path: /\/blobs\/uploads\//, times: 1 }, { kind: 'hold', until: held.promise })
  const env = { LAYERD_FILE_ROOTS: folder, LAYERD_WORKERS: '1' }
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env })
  const api = await readyUrl(layerd)
  const job = await publishOver(api, built.path, `${registry.host}/team`)
  await waitFor('a layer to be under way', () => registry.requests.some(({ method }) => method === 'PUT'))
  const workers = workersOf(layerd.pid).map(({ pid }) => pid)
  for (const round of [1, 2]) {
    const { pid } = apiOf(layerd.pid)
    process.kill(pid, 'SIGKILL')
    await waitFor('the API to be back', async () => readProcess(pid) === undefined && (await isReady(api)))
    // The log is another pipe than the one that the answer came by.
    await waitFor('the end to be told', () => ends(layerd).length === round)
  }
  const [end] = ends(layerd)
  assert.equal(end?.['msg'], 'the API has ended; another one takes its place')
  assert.deepEqual([end?.['reason'], end?.['signal']], ['it was ended by SIGKILL', 'SIGKILL'])
  held.resolve()
  const ended = await endedOver(api, job.id)
  assert.deepEqual([ended.state, ended.attempt], ['succeeded', 1])
  assert.deepEqual(
    workersOf(layerd.pid).map(({ pid }) => pid),
    workers,
  )
  const figures = async () => (await fetch(`${api}/metrics`)).text()
  await waitFor('the figures of the workers', async () =>
    /^layerd_runs_total\{.*"succeeded"\} 1$/m.test(await figures()),
  )
  assert.deepEqual(await layerd.stop(), { code: 0, signal: null })
})

test('an API that does not come up again is tried until it does, and the log has its last line', async (t) => {
  const dataDir = await shortTempDir(t)
  const layerd = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '0' } })
  const api = await readyUrl(layerd)
  const key = join(dataDir, 'secret.key')
  const whole = await readFile(key)
  await writeFile(key, 'not a key')
  process.kill(apiOf(layerd.pid).pid, 'SIGKILL')
  await waitFor('two that did not come up', () => ends(layerd).length >= 3)
  const [, second, third] = ends(layerd)
  assert.match(String(second?.['lastLine']), /^layerd: LAYERD_SECRET_KEY_FILE: .* does not hold 32 bytes/)
  assert.equal(second?.['reason'], 'it ended with code 1')
  assert.ok(Number(third?.['pauseMs']) > Number(second?.['pauseMs']), 'later and later')
  await writeFile(key, whole)
  await waitFor('the API to be back', () => isReady(api))
  assert.match(layerd.stdout(), /"msg":"the API serves again"/)
})

test('what keeps the first API from serving ends the daemon with one line, and is not tried again', async (t) => {
  const taken = await listenOnLoopback(t, createServer())
  const wrong: ReadonlyArray<readonly [Record<string, string>, RegExp]> = [
    [{ LAYERD_LISTEN: taken }, /^layerd: LAYERD_LISTEN: cannot listen on \S+ \(EADDRINUSE\)\n$/],
    [
      { LAYERD_LISTEN: '127.0.0.1:0', LAYERD_TOKENS_FILE: '/nowhere/tokens' },
      /^layerd: the token file [^\n]* LAYERD_TOKENS_FILE must [^\n]*\n$/,
    ],
    [{ LAYERD_API_HEAP: '1MiB' }, /^layerd: LAYERD_API_HEAP is "1MiB": must be 64MiB or more[^\n]*\n$/],
  ]
  for (const [env, line] of wrong) {
    const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env })
    const own = childrenOf(layerd.pid)
    assert.deepEqual(await layerd.exit, { code: 1, signal: null })
    assert.match(layerd.stderr(), line)
    assert.deepEqual(ends(layerd), [])
    // On a busy machine another process may have their number by then.
    await waitFor('all its processes to be gone', () =>
      own.every(({ pid, session }) => readProcess(pid)?.session !== session),
    )
  }
})

test('a daemon that is killed frees its port for the next one', async (t) => {
  const dataDir = await shortTempDir(t)
  const env = { LAYERD_LISTEN: `127.0.0.1:${await freePort()}`, LAYERD_WORKERS: '1' }
  for (let round = 1; round <= 3; round += 1) {
    const layerd = await startLayerd(t, { dataDir, env })
    await readyUrl(layerd)
    await layerd.kill()
  }
})

test('a reader of standard error that has gone ends nothing', async (t) => {
  const env = { LAYERD_DATA_DIR: await shortTempDir(t), LAYERD_LISTEN: '127.0.0.1:0', LAYERD_WORKERS: '1' }
  const layerd = spawn(process.execPath, [MAIN], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => void layerd.kill('SIGKILL'))
  layerd.stderr.destroy()
  let output = ''
  layerd.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const api = await waitFor('layerd to be up', () => /"url":"(http:[^"]+)"[^\n]*"layerd is up"/.exec(output)?.[1])
  const { pid } = apiOf(layerd.pid ?? 0)
  // Node says on standard error that its inspector listens.
  process.kill(pid, 'SIGUSR1')
  process.kill(pid, 'SIGABRT')
  await waitFor('another API', async () => output.includes('the API serves again') && (await isReady(api)))
  const ended = once(layerd, 'exit')
  layerd.kill('SIGTERM')
  assert.deepEqual(await ended, [0, null])
})
