import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { countChanges, killStoreAt, startStoreSweep } from '../helpers/sweeps/store-kill-sweep.ts'

for (const [what, ranges] of [
  ['a pull into the store, and a deletion,', false],
  ['a pull in several ranges', true],
] as const) {
  test(`${what} killed before each change of files`, { timeout: 3_600_000 }, (t) => killAtEach(t, ranges))
}

async function killAtEach(t: TestContext, ranges: boolean): Promise<void> {
  const sweep = await startStoreSweep(t, { ranges })
  const changes = await countChanges(t, sweep)
  let met = 0
  for (let k = 1; k <= changes; k += 1) {
    await t.test(`change ${k}`, async (t) => {
      const at = await killStoreAt(t, sweep, k)
      met += at === undefined ? 0 : 1
      t.diagnostic(at ?? `${k}: had ended`)
    })
  }
  // How many changes there are varies by a few: concurrent downloads reach the disk as they come.
  assert.ok(met > changes * 0.9, `only ${met} of ${changes} changes were met`)
}
