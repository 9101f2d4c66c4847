import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { RegistryFact, RegistryFactStore } from '../../src/content/registry-facts.ts'
import { RangeIgnored } from '../../src/content/ranges.ts'
import { readAll } from '../../src/content/streams.ts'
import type { Answer } from '../helpers/registries/kit/exchange.ts'
import { type MemoryRegistryOptions, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'

const { signal } = new AbortController()

/** A repository with a blob, of which ranges are asked for, and what was learnt of its registry. */
async function bed(t: TestContext, options: MemoryRegistryOptions) {
  const registry = await startMemoryRegistry(options)
  t.after(() => registry.close())
  const { bytes, descriptor } = testBlob(someBytes(100_000))
  registry.putBlob('test/blobs', bytes)
  const saved: Record<string, RegistryFact | undefined> = {}
  const facts: RegistryFactStore = {
    load: async () => undefined,
    save: async (_, changes) => Boolean(Object.assign(saved, changes)),
  }
  const repository = await openRepository(t, registry.host, { facts })
  const range = async (from = 1000) =>
    readAll(await repository.open(descriptor, { offset: from, end: from + 500, signal }))
  const ignored = (from?: number) => assert.rejects(range(from), (error) => error instanceof RangeIgnored)
  return { repository, range, ignored, saved, registry }
}

/** Answers ranges with an end as it is told. */
function toRanges(answers: () => Answer | undefined): MemoryRegistryOptions {
  return { authorize: ({ headers }) => (/^bytes=\d+-\d+$/.test(headers.range ?? '') ? answers() : undefined) }
}

test('a registry that answers a range with the whole blob is asked for none any more, by nobody', async (t) => {
  const { repository, ignored, saved } = await bed(t, { ranges: false })
  assert.equal(repository.ranges, true)
  await ignored()
  assert.equal(repository.ranges, false)
  assert.equal(saved['severalRanges'], false)
})

for (const status of [403, 416, 429]) {
  test(`one that answers ${status} to ranges of three blobs in a row, too`, async (t) => {
    const { repository, range, saved, registry } = await bed(
      t,
      toRanges(() => ({ status })),
    )
    for (const blobs of [1, 2, 3]) {
      assert.equal(repository.ranges, true, `after ${blobs - 1}`)
      await assert.rejects(range())
    }
    assert.equal(repository.ranges, false)
    assert.equal(saved['severalRanges'], false)
    // What passes is tried four times, and counts once.
    const asked = registry.requests.filter(({ headers }) => headers.range !== undefined)
    assert.equal(asked.length, status === 429 ? 12 : 3)
  })
}

test('a registry that is down for a while gives ranges all the same', async (t) => {
  const { repository, range, saved } = await bed(
    t,
    toRanges(() => ({ status: 503 })),
  )
  for (const _ of [1, 2, 3, 4]) await assert.rejects(range())
  assert.equal(repository.ranges, true)
  assert.equal(saved['severalRanges'], undefined)
})

test('what is refused now and then is asked for again', async (t) => {
  let refused = 0
  const { repository, range, saved } = await bed(
    t,
    toRanges(() => (++refused % 3 === 0 ? undefined : { status: 403 })),
  )
  for (let round = 0; round < 3; round += 1) {
    await assert.rejects(range())
    await assert.rejects(range())
    assert.equal((await range()).length, 500)
  }
  assert.equal(repository.ranges, true)
  assert.equal(saved['severalRanges'], undefined)
})
