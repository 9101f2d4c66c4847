import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { createJobQueue } from '../../src/jobs/queue.ts'
import { createRegistryRecords } from '../../src/jobs/registries/registry-records.ts'
import { createUploadCheckpoints } from '../../src/jobs/uploads/checkpoints.ts'
import { defer } from '../helpers/cleanup.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { endedOver, publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { begin, newJob, startJobs } from '../helpers/redis/jobs.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const [A, B, C] = [randomBytes(32), randomBytes(32), randomBytes(32)] as const
const ANN = { user: 'ann', password: 'Pa55word-of-ann' }
const KEPT = {
  plainHttp: false,
  repositories: null,
  secret: { kind: 'basic', username: 'ann', password: 'x' },
} as const

test('a daemon goes from one key to the next, with all that waits and is kept', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: ANN })
  const redis = await startRedis(t, { tcp: true })
  const [dataDir, docker, keys] = [await tempDir(t), await tempDir(t), join(await tempDir(t), 'secret.key')]
  const start = async (lines: readonly Uint8Array[], workers: number) => {
    await writeFile(keys, `${lines.map((key) => Buffer.from(key).toString('base64')).join('\n')}\n`)
    const layerd = await startLayerd(t, {
      dataDir,
      env: {
        LAYERD_REDIS_URL: redis.url,
        LAYERD_SECRET_KEY_FILE: keys,
        LAYERD_FILE_ROOTS: dirname(FIXTURES.nemoAmd64),
        LAYERD_WORKERS: String(workers),
        DOCKER_CONFIG: docker,
      },
    })
    return { layerd, api: await readyUrl(layerd) }
  }
  const credentials = { username: ANN.user, password: ANN.password }
  const auth = Buffer.from(JSON.stringify({ ...credentials, serveraddress: registry.host })).toString('base64url')
  const json = { 'content-type': 'application/json' }
  const publish = async (api: string, name: string, headers: Record<string, string> = {}): Promise<string> => {
    const body = {
      kind: 'publish',
      source: `file:${FIXTURES.nemoAmd64}`,
      destination: `oci://${registry.host}/${name}`,
    }
    const made = await fetch(`${api}/v1/jobs`, {
      method: 'POST',
      headers: { ...json, ...headers },
      body: JSON.stringify(body),
    })
    return ((await made.json()) as { id: string }).id
  }

  // Nobody takes jobs: what is sealed under A waits.
  const first = await start([A], 0)
  const kept = `${first.api}/v1/registries/${registry.host}`
  const put = await fetch(kept, { method: 'PUT', headers: json, body: JSON.stringify({ credentials }) })
  assert.equal(put.status, 201)
  const waiting = [await publish(first.api, 'own', { 'x-registry-auth': auth }), await publish(first.api, 'kept')]
  await first.layerd.stop()
  assert.doesNotMatch(first.layerd.output(), /older key/)

  const second = await start([B, A], 1)
  await second.layerd.waitForOutput(
    /registries and keys sealed under an older key: 0; jobs that wait with credentials under one: /,
  )
  for (const id of waiting) assert.equal((await endedOver(second.api, id)).state, 'succeeded')
  await second.layerd.stop()

  const third = await start([B], 1)
  const last = await endedOver(third.api, await publish(third.api, 'last'))
  assert.equal(last.state, 'succeeded', JSON.stringify(last.error))
  await third.layerd.stop()

  // Dropped too early: it is said what to do, and nothing is shown to the registry.
  const fourth = await start([C], 1)
  await fourth.layerd.waitForOutput(/open under no key that is there: give them again/)
  const failed = await endedOver(
    fourth.api,
    (await publishOver(fourth.api, FIXTURES.nemoAmd64, `${registry.host}/no`)).id,
  )
  assert.equal(failed.error?.code, 'CREDENTIALS_INVALID')
  await fourth.layerd.stop()
})

test('what is kept is sealed anew, in its place and as it was, by whoever comes first', async (t) => {
  const jobs = await startJobs(t)
  const recordsOf = (secretKey: Uint8Array | readonly Uint8Array[]) => {
    const records = createRegistryRecords({ ...jobs.options, role: 'starting', secretKey })
    defer(t, () => records.close())
    return records
  }
  const [old, turning, fresh] = [recordsOf(A), recordsOf([B, A]), recordsOf(B)]
  for (const host of ['a.example', 'b.example/team']) await old.put(host, KEPT, undefined)
  await old.put('open.example', { ...KEPT, secret: null }, undefined)
  const way = { ca: null, clientCertificate: null, proxy: 'http://me:secret@proxy.example:3128', mirror: null }
  await old.put('way.example', { ...KEPT, secret: null, way }, undefined)
  const before = await old.list()
  assert.deepEqual(await fresh.reseal(), {
    resealed: 0,
    older: 3,
    lost: ['a.example', 'b.example/team', 'way.example'],
  })
  const rounds = await Promise.all([turning.reseal(), recordsOf([B, A]).reseal()])
  assert.equal(
    rounds.reduce((sum, { resealed }) => sum + resealed, 0),
    3,
  )
  assert.deepEqual(await turning.reseal(), { resealed: 0, older: 0, lost: [] })
  assert.deepEqual(await fresh.list(), before)
  for (const record of await fresh.list()) {
    assert.deepEqual(fresh.secretOf(record), record.credentials ? KEPT.secret : undefined)
  }
  const proxied = await fresh.get('way.example')
  assert.deepEqual(proxied && fresh.waySecretsOf(proxied), { proxy: way.proxy })
  // Who has read it before may still change it.
  const [seen] = before
  assert.ok(seen)
  await turning.put(seen.host, { ...KEPT, secret: undefined }, seen)
})

test('saved uploads and credentials of jobs open under an older key, and are counted while they wait', async (t) => {
  const jobs = await startJobs(t)
  const key = { registry: 'registry.example', repository: 'team/nemo', digest: digestOf('layer') }
  const upload = { location: 'https://registry.example/v2/up/1', offset: 5, size: 9, startedAt: 1 }
  const options = (secretKey: Uint8Array | readonly Uint8Array[]) => ({ ...jobs.options, secretKey })
  const queueOf = async (keys: Parameters<typeof options>[0]) => {
    const queue = createJobQueue(options(keys))
    defer(t, () => queue.close())
    await waitFor('the queue to be connected', () => queue.ping(1000))
    return queue
  }
  const [old, turning] = [await queueOf(A), await queueOf([B, A])]
  const credentials = { registry: 'registry.example', username: 'ann', password: 'x' }
  await old.create(newJob(), { credentials })
  await turning.create(newJob(), { credentials })
  assert.deepEqual([await old.underOlderKeys(), await turning.underOlderKeys()], [1, 1])

  const { job } = await jobs.queue.create(newJob())
  const sessionsOf = (keys: Parameters<typeof options>[0], epoch: number) => {
    const checkpoints = createUploadCheckpoints(options(keys))
    defer(t, () => checkpoints.close())
    return checkpoints.forRun(job.id, epoch)
  }
  const { epoch } = await begin(jobs, job)
  await sessionsOf(A, epoch).save(key, upload)
  const heir = sessionsOf([B, A], epoch)
  assert.deepEqual(await heir.load(key), upload)
  await heir.save(key, { ...upload, offset: 7 })
  assert.deepEqual(await sessionsOf(B, epoch).load(key), { ...upload, offset: 7 })
  assert.equal(await sessionsOf(A, epoch).load(key), undefined)
})
