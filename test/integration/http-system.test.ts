import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import type { Setting, System } from '../../src/http/schemas/system/system.ts'
import type { Static } from 'typebox'
import { storeSample } from '../helpers/packages/store-packages.ts'
import { someBytes } from '../helpers/registries/oci-client.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'
import { waitFor } from '../helpers/wait-for.ts'

const HOSTILE = '<script>document.title="struck"</script>\u202e'

const SETTINGS: Array<Static<typeof Setting>> = [
  { name: 'LAYERD_PUBLIC_URL', value: HOSTILE, from: 'environment', secret: false, description: 'x' },
  { name: 'LAYERD_TOKEN', value: null, from: 'file', secret: true, description: 'x' },
]

describe('GET /v1/system', () => {
  test('tells what store and Redis hold of what they may, and how Redis keeps it', async (t) => {
    const { app, store } = await startApp(t, {
      redisArgs: ['--maxmemory', '64mb', '--appendonly', 'yes', '--appendfsync', 'always', '--save', ''],
      diskReserve: 4096,
      system: { settings: [], storeMaxBytes: 1_000_000, redisAddress: 'redis://redis.example' },
    })
    await storeSample(store, { layers: [someBytes(3000, 1)] })
    const { usedBytes } = await store.space()
    const told = await waitFor('Redis to answer', async () => {
      const answer = await app.inject({ url: '/v1/system' })
      assert.equal(answer.headers['cache-control'], 'no-cache')
      const found = answer.json<System>()
      return answer.statusCode === 200 && found.redis.reachable ? found : undefined
    })
    const { disk, ...rest } = told.store
    assert.deepEqual(rest, { usedBytes, limitBytes: 1_000_000, promisedBytes: 0 })
    assert.deepEqual([disk.reserveBytes, disk.low, disk.freeBytes < disk.totalBytes], [4096, false, true])
    const { version, usedBytes: memory, ...redis } = told.redis
    assert.match(version ?? '', /^\d+\.\d+/)
    assert.ok((memory ?? 0) > 100_000)
    assert.deepEqual(redis, {
      reachable: true,
      trouble: null,
      own: false,
      address: 'redis://redis.example',
      role: 'primary',
      replicas: 0,
      limitBytes: 64 * 1024 ** 2,
      evictionPolicy: 'noeviction',
      appendOnly: true,
      appendFsync: 'always',
      snapshots: false,
      writesFail: false,
    })
  })

  test('a Redis that does not let it ask is told as far as it is known', async (t) => {
    const { app, jobs } = await startApp(t, { redisArgs: ['--rename-command', 'CONFIG', ''] })
    const told = await waitFor('Redis to answer', async () => {
      const { redis } = (await app.inject({ url: '/v1/system' })).json<System>()
      return redis?.reachable ? redis : undefined
    })
    assert.deepEqual([told.own, told.role, told.appendOnly], [true, 'primary', true])
    assert.deepEqual([told.appendFsync, told.snapshots], [null, null])
    await jobs.redis.stop()
    const gone = (await app.inject({ url: '/v1/system' })).json<System>()
    assert.deepEqual([gone.redis.reachable, gone.redis.usedBytes, gone.redis.role], [false, null, null])
    assert.match(gone.redis.trouble ?? '', /^Redis does not answer/)
    assert.ok(gone.store.disk.totalBytes > 0, 'the store is told all the same')
  })
})

describe('GET /v1/system/settings', () => {
  test('tells them as they are, to whoever reads the system and is not limited, and to nobody else', async (t) => {
    const tokensFile = await tokensFileOf(t, {
      reader: 'system:read',
      admin: 'system:admin',
      limited: '* registries=ghcr.io',
      other: 'jobs:write,registries:admin,policies:admin,tokens:admin,audit:read',
    })
    const { app } = await startApp(t, { tokensFile, system: { settings: SETTINGS } })
    const ask = async (who: string, url: string) => app.inject({ url, headers: { authorization: `Bearer ${who}` } })
    for (const who of ['reader', 'admin']) {
      const answer = await ask(who, '/v1/system/settings')
      assert.equal(answer.statusCode, 200, answer.body)
      assert.deepEqual(answer.json(), { items: SETTINGS })
      assert.equal((await ask(who, '/v1/system')).statusCode, 200)
    }
    for (const [who, code] of [
      ['limited', 'TOKEN_LIMITED'],
      ['other', 'SCOPE_MISSING'],
      ['nobody', 'UNAUTHENTICATED'],
    ] as const) {
      for (const url of ['/v1/system/settings', '/v1/system']) {
        const answer = await ask(who, url)
        assert.equal(answer.json<Problem>().code, code, `${who} ${url}`)
        assert.doesNotMatch(answer.body, /PUBLIC_URL|usedBytes/)
      }
    }
  })
})
