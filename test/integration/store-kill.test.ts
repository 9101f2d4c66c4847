import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killStoreAt, startStoreSweep } from '../helpers/sweeps/store-kill-sweep.ts'

/** test/sweep kills before every change. */
const POINTS: Record<string, RegExp> = {
  'between the lock of a lease and the lease': /^writeFile .*leases/,
  'between the last byte of a blob and its name': /^rename .*ingest/,
  'between the last byte of a blob and the word where it came from': /^rename .*origins\/sha/,
  'while a record gets its name': /^rename .*packages/,
  'between a deleted record and its blobs': /^rm .*blobs/,
}

for (const [when, point] of Object.entries(POINTS)) {
  test(`a process killed ${when} leaves nothing wrong, and the next pull nothing at all`, async (t) => {
    const sweep = await startStoreSweep(t)
    assert.ok(await killStoreAt(t, sweep, point), 'it was not killed')
  })
}
