import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { killStoreAt, type KillPoint, startStoreSweep } from '../helpers/sweeps/store-kill-sweep.ts'

/** test/sweep kills before every change. */
const POINTS: Record<string, RegExp> = {
  'between the lock of a lease and the lease': /^writeFile .*leases/,
  'between the last byte of a blob and its name': /^rename .*ingest/,
  'between the last byte of a blob and the word where it came from': /^rename .*origins\/sha/,
  'while a record gets its name': /^rename .*packages/,
  'between a deleted record and its blobs': /^rm .*blobs/,
}

for (const [when, match] of Object.entries(POINTS)) {
  test(`a process killed ${when} leaves nothing wrong, and the next pull nothing at all`, async (t) => {
    const sweep = await startStoreSweep(t)
    assert.ok(await killStoreAt(t, sweep, { match, nth: 1 }), 'it was not killed')
  })
}

const RANGES: Record<string, KillPoint> = {
  'before the first line of a journal': { match: /^appendFile .*\.ranges/, nth: 1 },
  'between the first range of a further stream and its line': { match: /^appendFile .*\.ranges/, nth: 2 },
  'between two lines of a journal': { match: /^appendFile .*\.ranges/, nth: 4 },
}

for (const [when, point] of Object.entries(RANGES)) {
  test(`a process killed ${when} leaves ranges of which none is asked for again`, async (t) => {
    const sweep = await startStoreSweep(t, { ranges: true })
    assert.ok(await killStoreAt(t, sweep, point), 'it was not killed')
  })
}

test('a process killed between the last byte of a layer and the end of its journal leaves nothing to ask for', async (t) => {
  const sweep = await startStoreSweep(t, { ranges: true })
  const large = sweep.layers.find(({ title }) => title === 'components/one.tar')
  const name = digestOf(large?.bytes ?? '').replace(':', '-')
  // Also where a blob begins, in case that one was left.
  const point = { match: new RegExp(`^rm .*${name}.*\\.ranges`), nth: 2 }
  assert.ok(await killStoreAt(t, sweep, point), 'it was not killed')
})
