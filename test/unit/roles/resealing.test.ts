import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../../../src/lib/logger.ts'
import { startResealing } from '../../../src/roles/resealing.ts'
import { waitFor } from '../../helpers/wait-for.ts'

test('a round that failed is made up for soon, and not with the next hour', async (t) => {
  const nothing = { resealed: 0, older: 0, lost: [] }
  let rounds = 0
  const registries = {
    async reseal() {
      rounds += 1
      if (rounds < 3) throw new Error('Command timed out')
      return nothing
    },
  }
  let sealed = 0
  const keys = {
    async reseal() {
      sealed += 1
      return nothing
    },
  }
  const queue = { underOlderKeys: async () => 0 }
  const joining = Promise.resolve(true)
  t.after(startResealing({ kept: { registries, keys }, queue, keys: 1, joining, logger: silentLogger, againMs: 1 }))
  await waitFor('a round that goes well', () => sealed === 1)
  assert.equal(rounds, 3)
})
