import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import { redisSocketPath } from '../../src/daemon/redis-socket.ts'
import {
  childrenOf,
  endedOver,
  jobOver,
  publishOver,
  readProcess,
  readyUrl,
  startLayerd,
} from '../helpers/processes/layerd.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { processExists, type RunningProcess, startProcess } from '../helpers/processes/processes.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const HOGS = 3
const ROUNDS = 3
const CLIENTS = 8
/** Accepted before the kill. */
const JOBS = 60

/** Writes and fsyncs for as long as it lives; says when it has begun. */
const HOG = `
  const { openSync, writeSync, fsyncSync } = require('node:fs')
  const file = openSync(process.argv[1], 'w')
  const bytes = Buffer.alloc(${4 * MIB}, 1)
  for (let at = 0; ; at = (at + 1) % 16) {
    writeSync(file, bytes, 0, bytes.length, at * bytes.length)
    fsyncSync(file)
    if (at === 1) console.log('busy')
  }`

/** Processes that keep the disk of this folder busy. */
async function saturate(t: TestContext, folder: string): Promise<RunningProcess[]> {
  const start = (_: unknown, at: number) => startProcess(t, process.execPath, ['-e', HOG, join(folder, `hog-${at}`)])
  const hogs = await Promise.all(Array.from({ length: HOGS }, start))
  await Promise.all(hogs.map((hog) => hog.waitForOutput(/busy/)))
  return hogs
}

/** Several clients submit at once, until it is all over. Returns the ids that were answered with 202, as they come. */
function submit(api: string, path: string, host: string): { accepted: string[]; ended: Promise<unknown> } {
  const accepted: string[] = []
  const client = async (): Promise<void> => {
    for (;;) {
      try {
        // A disk that takes too long is a 503, which is tried again.
        accepted.push((await publishOver(api, path, host)).id)
      } catch {
        // A daemon that has been killed answers nothing.
        return
      }
    }
  }
  return { accepted, ended: Promise.all(Array.from({ length: CLIENTS }, client)) }
}

/** Waits until Redis holds writes back that it has acknowledged, as one does that waits for an fsync; not for ever. */
async function whileWritesWait(dataDir: string): Promise<boolean> {
  const redis = new Redis({ path: redisSocketPath(dataDir) })
  const heldBack = async () => Number(/aof_buffer_length:(\d+)/.exec(await redis.info('persistence'))?.[1])
  try {
    // What one turn of Redis brings is gone with the next.
    return await waitFor(
      'writes to wait',
      async () => {
        const first = await heldBack()
        return first > 0 && (await heldBack()) >= first && (await heldBack()) > first
      },
      { intervalMs: 1 },
    )
  } catch {
    // With appendfsync always there is no such moment.
    return false
  } finally {
    redis.disconnect()
  }
}

/** Redis first: nothing that it holds back may reach the disk after. */
function processesOf(layerd: RunningProcess): number[] {
  const children = childrenOf(layerd.pid)
  const redis = children.filter(({ args }) => /^\S*(?:redis|valkey)-server/.test(args))
  assert.equal(redis.length, 1)
  return [...new Set([...redis, { pid: layerd.pid }, ...children].map(({ pid }) => pid))]
}

async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) if (processExists(pid)) process.kill(pid, 'SIGKILL')
  await waitFor('all to be gone', () => pids.every((pid) => readProcess(pid) === undefined))
}

test('a kill of everything while the disk is saturated loses no accepted job', { timeout: 900_000 }, async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 1000, format: 'tar' })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const dataDir = await shortTempDir(t)
  const start = () => startLayerd(t, { dataDir, env: { LAYERD_FILE_ROOTS: folder, LAYERD_WORKERS: '1' } })
  const all: string[] = []
  for (let round = 1; round <= ROUNDS; round += 1) {
    const layerd = await start()
    const api = await readyUrl(layerd)
    const hogs = await saturate(t, dataDir)
    const { accepted, ended } = submit(api, built.path, registry.host)
    await waitFor('jobs to be accepted', () => accepted.length >= JOBS, { timeoutMs: 120_000 })
    const own = processesOf(layerd)
    const held = await whileWritesWait(dataDir)
    await killAll(own)
    await Promise.all([ended, ...hogs.map((hog) => hog.kill())])
    all.push(...accepted)
    t.diagnostic(`round ${round}: ${accepted.length} accepted${held ? ', writes held back' : ''}`)
  }
  const api = await readyUrl(await start())
  for (const id of all) assert.equal((await jobOver(api, id)).id, id, 'an accepted job is there')
  for (const id of all) assert.equal((await endedOver(api, id)).state, 'succeeded')
})
