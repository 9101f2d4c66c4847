import { createContentStore } from '../../../src/store/content-store.ts'
import { CleanupStack } from '../cleanup.ts'
import { pullFrom } from './pulling.ts'
import { SMALL_RANGES } from './range-tuning.ts'

/**
 * node pull-child.ts FOLDER REFERENCE [delete | ranges]: pulls into the store of that folder, and then deletes what it
 * pulled; or pulls in several ranges where that is faster.
 */
const [folder = '', reference = '', then] = process.argv.slice(2)
await using stack = new CleanupStack()
await using store = await createContentStore({ folder, ...(then === 'ranges' ? { ranges: SMALL_RANGES } : {}) })
const { outcome } = await pullFrom(stack, reference, { store, concurrency: 3 })
console.log('pulled')
if (then === 'delete') {
  await store.packages.delete(outcome.digest)
  await store.gc({ graceMs: 0 })
}
