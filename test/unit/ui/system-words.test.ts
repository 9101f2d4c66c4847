import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  diskShares,
  memoryShares,
  persistenceText,
  redisTroubles,
  storeShares,
} from '../../../src/ui/format/system-words.ts'
import type { Job, Queue, System } from '../../../src/ui/api/types.ts'
import { ratesOf } from '../../../src/ui/pages/overview/rates.ts'
import { waitingGroups } from '../../../src/ui/pages/overview/sorts.ts'

const DISK = { freeBytes: 300, totalBytes: 1000, reserveBytes: 100, low: false }
const STORE: System['store'] = { usedBytes: 400, limitBytes: 500, promisedBytes: 50, disk: DISK }
const REDIS: System['redis'] = {
  reachable: true,
  trouble: null,
  own: true,
  address: null,
  version: '8.0.0',
  role: 'primary',
  replicas: 0,
  usedBytes: 30,
  limitBytes: 100,
  evictionPolicy: 'noeviction',
  appendOnly: true,
  appendFsync: 'always',
  snapshots: false,
  writesFail: false,
}

const bytesOf = (shares: ReadonlyArray<{ name: string; bytes: number }> | undefined) =>
  shares?.map(({ name, bytes }) => `${name} ${bytes}`).join(', ')

describe('bars of the system', () => {
  test('their parts are all of it, and none is less than nothing', () => {
    assert.equal(bytesOf(diskShares(STORE)), 'the store 400, others 300, promised 50, free 150, kept free 100')
    assert.equal(bytesOf(storeShares(STORE)), 'used 400, promised 50, free 50')
    const over = { usedBytes: 1200, limitBytes: 500, promisedBytes: 900, disk: { ...DISK, freeBytes: 40, low: true } }
    assert.equal(bytesOf(diskShares(over)), 'the store 960, others 0, promised 0, free 0, kept free 40')
    assert.equal(bytesOf(storeShares(over)), 'used 500, promised 0, free 0')
    assert.equal(bytesOf(memoryShares(REDIS)), 'used 30, free 70')
    assert.equal(storeShares({ ...STORE, limitBytes: null }), undefined)
    assert.equal(memoryShares({ ...REDIS, limitBytes: null }), undefined)
  })
})

describe('what is said of Redis', () => {
  test('how it keeps what it holds, and what somebody should do something about', () => {
    assert.match(persistenceText(REDIS), /^append-only file, on the disk before each answer/)
    assert.match(persistenceText({ ...REDIS, appendFsync: null, snapshots: null }), /^append-only file$/)
    assert.match(persistenceText({ ...REDIS, appendOnly: false }), /^in memory alone/)
    assert.equal(persistenceText({ ...REDIS, appendOnly: null, snapshots: null }), 'it does not say')
    assert.deepEqual(redisTroubles(REDIS), [])
    const ill = { ...REDIS, writesFail: true, role: 'replica' as const, evictionPolicy: 'allkeys-lru' }
    assert.equal(redisTroubles(ill).length, 3)
    assert.deepEqual(redisTroubles({ ...ill, reachable: false, role: null, evictionPolicy: null, trouble: 'gone' }), [
      'gone',
    ])
  })
})

describe('what waits, by registry', () => {
  const job = (source: string, destination: string | null) => ({ source, destination }) as unknown as Job
  const queue = (host: string, waiting: number) =>
    ({ host, jobs: { waiting, running: 3, retrying: 0, paused: 1 } }) as unknown as Queue

  test('jobs are with the queue that they wait in, and counts are the whole of it', () => {
    const jobs = [
      job('file:/a', 'oci://ghcr.io/team'),
      job('oci://index.docker.io/library/nginx:1', 'store:'),
      job('oci://ghcr.io/team/a:1', 'oci://registry.example:5000/mirror'),
      job('file:/a', null),
    ]
    const none = { ...queue('idle.example', 0), jobs: { waiting: 0, running: 3, retrying: 0, paused: 0 } }
    const groups = waitingGroups(jobs, [queue('ghcr.io', 12), queue('docker.io', 0), queue('only.example', 2), none])
    assert.deepEqual(
      groups.map(({ host, jobs: own, count }) => `${host} ${own.length}/${count}`),
      ['ghcr.io 1/13', 'only.example 0/3', 'docker.io 1/1', 'local 1/1', 'registry.example:5000 1/1'],
    )
  })
})

describe('bytes a second', () => {
  const stats = (now: string) => ({
    now,
    times: [0, 60, 120],
    series: { wireBytesSent: [600, 1200, 300] } as never,
  })

  test('of the minute that is not over by what has gone of it', () => {
    assert.deepEqual(ratesOf(stats('1970-01-01T00:02:30.900Z'), 'wireBytesSent'), [10, 20, 10])
    assert.deepEqual(ratesOf(stats('1970-01-01T00:02:03.000Z'), 'wireBytesSent'), [10, 20])
  })
})
