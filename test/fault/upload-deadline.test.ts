import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { createLearnedFacts } from '../../src/oci/facts/learned-facts.ts'
import { createRepository } from '../../src/oci/registry.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import type { UploadWays } from '../helpers/registries/kit/ways.ts'
import { startUploadRegistry } from '../helpers/registries/upload-scene.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { connect } from '../helpers/registries/transport.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal

/** A registry of which nothing is known, behind a proxy. */
async function scene(
  t: TestContext,
  ways: Partial<UploadWays>,
  options: { bytesPerSecond?: number; sendIdleMs?: number; clock?: typeof systemClock } = {},
) {
  const { bytesPerSecond, sendIdleMs, clock } = options
  const registry = await startUploadRegistry(t, ways, { overlaps: true })
  const proxy = await startFaultProxy(t, registry.host, bytesPerSecond === undefined ? {} : { bytesPerSecond })
  const connections = connect(t, sendIdleMs === undefined ? {} : { timeouts: { sendIdleMs } })
  const learned = createLearnedFacts()
  learned.anonymousMount = false
  const repository = createRepository({
    transport: connections.transport(proxy.host, { credential: undefined, plainHttp: true }),
    repository: 'test/blobs',
    learned,
    retry: { attempts: 4, baseMs: 10, maxMs: 20, maxRetryAfterMs: 1000 },
    ...(clock ? { clock } : {}),
  })
  const push = async (bytes: number): Promise<void> => {
    const blob = testBlob(someBytes(bytes))
    await repository.push(blob.descriptor, blob.open, { signal })
    assert.ok(registry.blob(blob.descriptor.digest)?.equals(blob.bytes))
  }
  return { registry, proxy, learned, push }
}

test('two bodies cut at one age are a deadline: what follows ends before it, also where cut bytes are kept', async (t) => {
  const { registry, push } = await scene(t, { deadlineMs: 6000 }, { bytesPerSecond: 2 * MIB })
  await push(38 * MIB)
  const patches = registry.requests.filter(({ method }) => method === 'PATCH')
  const cut = patches.filter(({ status }) => status === undefined)
  assert.equal(cut.length, 2, 'no third request reaches that age')
  assert.deepEqual(cut, patches.slice(0, 2))
  const parts = patches.slice(2)
  assert.ok(parts.length > 1)
  const least = Math.min(...cut.map(({ bytes }) => bytes))
  for (const { bytes } of parts) assert.ok(bytes < least, `${bytes} bytes in a request after cuts at ${least}`)
})

test('a far end that stops taking bytes twice, for as long as it is waited for, has no deadline', async (t) => {
  // Time runs a hundred times as fast for the client: it waits half a minute.
  const clock = { ...systemClock, now: () => Date.now() * 100 }
  const { registry, proxy, learned, push } = await scene(t, {}, { sendIdleMs: 300, clock })
  const first = proxy.fail({ up: 10 * MIB }, 'silence')
  const second = proxy.fail({ up: 11 * MIB }, 'silence')
  await push(48 * MIB)
  assert.ok(first.met && second.met)
  const { deadlineMs, cutAfterMs } = learned.uploads
  assert.deepEqual({ deadlineMs, cutAfterMs }, { deadlineMs: undefined, cutAfterMs: undefined })
  assert.equal(registry.requests.filter(({ method }) => method === 'PATCH').length, 3, 'the rest goes in one request')
})

for (const fault of [
  { kind: 'answer', early: true, status: 500 },
  { kind: 'cut-request', afterBytes: 100_000 },
] as const) {
  test(`a source that is slow to open is no deadline and no speed of a registry (${fault.kind})`, async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    registry.fail({ method: 'PUT', times: 2 }, fault)
    const clock = createStepClock()
    const learned = createLearnedFacts()
    const repository = createRepository({
      transport: connect(t).transport(registry.host, { credential: undefined, plainHttp: true }),
      repository: 'test/blobs',
      learned,
      retry: { attempts: 4, baseMs: 10, maxMs: 20, maxRetryAfterMs: 1000 },
      clock,
    })
    const { bytes, descriptor, open } = testBlob(someBytes(4 * MIB))
    let started = 0
    const slow: typeof open = (at) => {
      clock.advance(20_000)
      return open(at)
    }
    await repository.push(descriptor, slow, {
      signal,
      onEvent: (event) => {
        if (event.type === 'started') started = event.offset
      },
    })
    assert.deepEqual(registry.blob('test/blobs', descriptor.digest), bytes)
    const { deadlineMs, cutKeeps, bytesPerSecond } = learned.uploads
    // The clock stands still while bytes flow.
    const seen = (4 * MIB - started) * 1000
    assert.deepEqual(
      { deadlineMs, cutKeeps, bytesPerSecond },
      { deadlineMs: undefined, cutKeeps: undefined, bytesPerSecond: seen },
    )
  })
}
