import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** docs/operations.md "Redis". */
const OF_API = 16
const OF_WORKER = 17
const HOSTS_OF_WORKER = 64
const OF_SUPERVISOR = 1
const WORKERS = 2

test('however many registries there are jobs for, Redis sees no more connections than it is promised', async (t) => {
  const redis = await startRedis(t, { tcp: true })
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1 })
  const layerd = await startLayerd(t, {
    dataDir: await shortTempDir(t),
    env: { LAYERD_WORKERS: `${WORKERS}`, LAYERD_FILE_ROOTS: folder, LAYERD_REDIS_URL: redis.url },
  })
  const api = await readyUrl(layerd)
  const raw = new Redis(redis.clientOptions)
  t.after(() => raw.disconnect())
  /** Names of the connections; ours is the one over the socket. */
  const connections = async (): Promise<string[]> =>
    String(await raw.client('LIST'))
      .split('\n')
      .filter((line) => line.includes(' addr=127.0.0.1:'))
      .map((line) => / name=(\S*)/.exec(line)?.[1] ?? '')
  const ofHosts = (names: readonly string[]) => names.filter((name) => name.includes(':w:'))
  // Nobody listens at these.
  for (let port = 1; port <= 200; port += 1) await publishOver(api, built.path, `127.0.0.1:${port}/team`)
  let most: string[] = []
  await waitFor('the workers to listen to as many hosts as they may', async () => {
    const names = await connections()
    if (names.length > most.length) most = names
    return ofHosts(names).length >= WORKERS * HOSTS_OF_WORKER
  })
  const own = most.filter((name) => !name.includes(':w:')).toSorted()
  assert.ok(own.length <= OF_API + WORKERS * OF_WORKER + OF_SUPERVISOR, own.join(' '))
  const workers = Map.groupBy(ofHosts(most), (name) => name.split(':w:')[1])
  assert.equal(workers.size, WORKERS)
  for (const [name, hosts] of workers) assert.ok(hosts.length <= HOSTS_OF_WORKER, `${name}: ${hosts.length}`)
})
