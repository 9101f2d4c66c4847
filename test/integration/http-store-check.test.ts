import assert from 'node:assert/strict'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { digestHex } from '../../src/content/digest.ts'
import type { StoreCheck } from '../../src/http/schemas/system/store-check.ts'
import { createStoreChecks } from '../../src/http/system/store-checks.ts'
import { createStoreCheckRecords } from '../../src/jobs/system/store-check-records.ts'
import { createKeys } from '../../src/jobs/redis/keys.ts'
import { createScripts } from '../../src/jobs/redis/scripts.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import type { CheckOptions } from '../../src/store/content-store.ts'
import { storeSample } from '../helpers/packages/store-packages.ts'
import { startJobs } from '../helpers/redis/jobs.ts'
import { someBytes } from '../helpers/registries/oci-client.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

async function ask({ app }: Pick<TestApp, 'app'>, method: 'GET' | 'POST', rest = ''): Promise<StoreCheck> {
  return waitFor('Redis to answer', async () => {
    const answer = await app.inject({ method, url: `/v1/system/store-check${rest}` })
    if (answer.statusCode === 503) return undefined
    assert.ok(answer.statusCode < 300, answer.body)
    return answer.json<StoreCheck>()
  })
}

const ended = (bed: Pick<TestApp, 'app'>) =>
  waitFor('the check to end', async () => {
    const check = await ask(bed, 'GET')
    return check.endedAt === null ? undefined : check
  })

describe('the check of the store over the API', () => {
  test('reads all, tells what is damaged and of which package, and changes nothing', async (t) => {
    const bed = await startApp(t)
    assert.equal((await ask(bed, 'GET')).state, 'none')
    const sample = await storeSample(bed.store, { layers: [someBytes(3000, 1), someBytes(5000, 2)] })
    const begun = await ask(bed, 'POST')
    assert.deepEqual([begun.state, begun.by], ['running', 'anonymous'])
    const whole = await ended(bed)
    assert.deepEqual([whole.state, whole.well, whole.blobs, whole.blobsTotal], ['done', true, 4, 4])
    assert.ok(whole.bytes > 8000)

    const [cut] = sample.layers
    assert.ok(cut)
    const path = join('blobs/sha256', digestHex(cut.digest))
    await truncate(join(bed.store.folder, path), 10)
    await ask(bed, 'POST')
    const damaged = await ended(bed)
    assert.deepEqual([damaged.state, damaged.well, damaged.findingsTotal > 0], ['done', false, true])
    const found = damaged.findings.find(({ kind }) => kind === 'blob-damaged')
    assert.equal(found?.path, path)
    assert.deepEqual(found?.packages, [{ digest: sample.record.digest, title: 'sample 1.0.0 amd64' }])
    assert.ok((await bed.store.packages.list()).length === 1, 'nothing is changed')
  })
})

/** Reads until it is told to end. */
function endless(began: () => void) {
  return {
    check: ({ signal, onBlob }: CheckOptions) =>
      new Promise<never>((_, reject) => {
        onBlob?.({ digest: 'sha256:0' as never, index: 3, count: 9, bytes: 70 })
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        began()
      }),
  }
}

describe('one check at a time', () => {
  test('in all processes; one is stopped from another, and one that died is told so', async (t) => {
    const { raw } = await startJobs(t)
    const records = createStoreCheckRecords<StoreCheck>({ keys: createKeys(), scripts: createScripts(raw) })
    const closing = new AbortController()
    t.after(() => closing.abort())
    let begun = 0
    const checks = () =>
      createStoreChecks({
        store: endless(() => (begun += 1)),
        records,
        logger: silentLogger,
        closing: closing.signal,
        tellMs: 20,
      })
    const [one, other] = [checks(), checks()]
    assert.equal((await one.start('ann')).by, 'ann')
    assert.equal((await other.start('bob')).by, 'ann')
    assert.equal(begun, 1)
    await waitFor('its progress to be told', async () => (await other.last()).blobs === 3)
    assert.equal((await other.stop()).state, 'running')
    await waitFor('it to be stopped', async () => (await other.last()).state === 'stopped')
    assert.equal((await other.start('bob')).by, 'bob')
    assert.equal(begun, 2)
    // Another one took its place while it was silent: what is kept is that one's.
    await raw.hset(createKeys().storeCheck, 'alive', '0')
    assert.equal((await records.begin('later', { ...(await one.last()), by: 'eve' }))?.id, 'later')
    await raw.hset(createKeys().storeCheck, 'alive', '0')
    const last = await one.last()
    assert.deepEqual([last.state, last.by], ['interrupted', 'eve'])
  })
})
