import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { AppError } from '../../src/lib/errors.ts'
import {
  type MemoryRegistry,
  type MemoryRegistryOptions,
  startMemoryRegistry,
} from '../helpers/registries/memory-registry.ts'
import { openRepository, recorder, someBytes, type TestBlob, testBlob } from '../helpers/registries/oci-client.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal

async function start(t: TestContext, options: MemoryRegistryOptions = {}): Promise<MemoryRegistry> {
  const registry = await startMemoryRegistry(options)
  t.after(() => registry.close())
  return registry
}

/** Pushes through whatever the registry does and checks that it holds the right bytes. */
async function pushed(t: TestContext, registry: MemoryRegistry, blob: TestBlob) {
  const repository = await openRepository(t, registry.host)
  const told = recorder()
  await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
  return told
}

const sent = (registry: MemoryRegistry, method: string) =>
  registry.requests.filter((request) => request.method === method && request.path.includes('/blobs/uploads/'))

test('upload.cut-mid-patch.dist3.resumes-at-byte: only what the registry lacks is sent again', async (t) => {
  const registry = await start(t, { sessions: 'dist3' })
  const blob = testBlob(someBytes(24 * MIB))
  // Not on the border of a chunk.
  const cut = 15 * MIB + 1000
  registry.fail({ method: 'PATCH' }, { kind: 'cut-request', afterBytes: cut })
  const told = await pushed(t, registry, blob)
  assert.deepEqual(told.starts(), [0, cut])
  const [first, second] = sent(registry, 'PATCH')
  assert.equal(first?.headers['transfer-encoding'], 'chunked')
  assert.equal(second?.headers['content-range'], `${cut}-${24 * MIB - 1}`)
  assert.equal(second?.headers['content-length'], String(24 * MIB - cut))
  assert.equal(sent(registry, 'POST').length, 1)
  const reopenedAt = blob.opened[1] ?? -1
  assert.ok(reopenedAt > 6 * MIB && reopenedAt <= cut, `the source was read again from ${reopenedAt}`)
  assert.equal(registry.openSessions, 0)
})

test('upload.cut-mid-patch.dist28.restarts-new-session', async (t) => {
  const registry = await start(t, { sessions: 'dist2.8' })
  registry.fail({ method: 'PATCH' }, { kind: 'cut-request', afterBytes: 5 * MIB })
  const told = await pushed(t, registry, testBlob(someBytes(12 * MIB)))
  assert.deepEqual(told.starts(), [0, 0])
  assert.equal(sent(registry, 'POST').length, 2)
  const retrying = told.events.find((event) => event.type === 'retrying')
  assert.ok(retrying?.type === 'retrying' && retrying.error.code === 'REGISTRY_CONNECTION_LOST')
  const restarted = told.events.find((event) => event.type === 'restarted')
  assert.ok(restarted?.type === 'restarted')
  assert.match(
    restarted.message,
    /test\/blobs: the upload of sha256:\w+ starts again: its status was answered with 404/,
  )
})

for (const sessions of ['dist2.8', 'dist3'] as const) {
  test(`upload.cut-mid-put.${sessions}: a layer that goes as one PUT survives a cut`, async (t) => {
    const registry = await start(t, { sessions })
    registry.fail({ method: 'PUT' }, { kind: 'cut-request', afterBytes: 2 * MIB })
    const told = await pushed(t, registry, testBlob(someBytes(4 * MIB)))
    assert.deepEqual(told.starts(), sessions === 'dist3' ? [0, 2 * MIB] : [0, 0])
  })

  test(`upload.put-answer-lost.${sessions}: the blob is found, nothing is sent again`, async (t) => {
    const registry = await start(t, { sessions })
    registry.fail({ method: 'PUT' }, { kind: 'lose-answer' })
    await pushed(t, registry, testBlob(someBytes(9 * MIB)))
    assert.equal(sent(registry, 'PUT').length, 1)
    assert.equal(sent(registry, 'PATCH').length, 1)
  })

  test(`upload.whole-put-answer-lost.${sessions}: the blob is found, nothing is sent again`, async (t) => {
    const registry = await start(t, { sessions })
    registry.fail({ method: 'PUT' }, { kind: 'lose-answer' })
    await pushed(t, registry, testBlob(someBytes(MIB)))
    assert.equal(sent(registry, 'PUT').length, 1)
  })
}

test('upload.patch-answer-lost: a registry that has all bytes is only asked to commit', async (t) => {
  const registry = await start(t, { sessions: 'dist3' })
  registry.fail({ method: 'PATCH' }, { kind: 'lose-answer' })
  const told = await pushed(t, registry, testBlob(someBytes(9 * MIB)))
  assert.deepEqual(told.starts(), [0])
  assert.equal(sent(registry, 'PATCH').length, 1)
})

test('upload.session-lost: 404 to a PATCH opens a new session', async (t) => {
  const registry = await start(t)
  registry.fail(
    { method: 'PATCH' },
    { kind: 'answer', status: 404, body: '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}' },
  )
  await pushed(t, registry, testBlob(someBytes(9 * MIB)))
  assert.equal(sent(registry, 'POST').length, 2)
})

test('upload.session-lost-at-commit: 404 to the PUT opens a new session', async (t) => {
  const registry = await start(t)
  registry.fail({ method: 'PUT' }, { kind: 'answer', status: 404, body: '{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}' })
  const told = await pushed(t, registry, testBlob(someBytes(9 * MIB)))
  assert.deepEqual(told.starts(), [0, 0])
})

test('retry.retry-after.503: a registry that asks to wait is asked again, and says so in an event', async (t) => {
  const registry = await start(t)
  registry.fail({ method: 'PATCH' }, { kind: 'answer', status: 503, headers: { 'retry-after': '1' } })
  const before = Date.now()
  const told = await pushed(t, registry, testBlob(someBytes(9 * MIB)))
  const retrying = told.events.find((event) => event.type === 'retrying')
  assert.ok(retrying?.type === 'retrying' && retrying.retryAt >= before + 1000)
})

test('retry.budget: a job gives its place up rather than wait for more than ten minutes with nothing done', async (t) => {
  const registry = await start(t)
  const clock = createStepClock()
  const retry = { attempts: 6, baseMs: 500, maxMs: 30_000, maxRetryAfterMs: 600_000 }
  const repository = await openRepository(t, registry.host, { clock, retry })
  const answer = { kind: 'answer', status: 503, headers: { 'retry-after': '400' } } as const
  registry.fail({ method: 'PATCH', times: 9 }, answer)
  const blob = testBlob(someBytes(9 * MIB))
  const push = repository.push(blob.descriptor, blob.open, { signal })
  await assert.rejects(push, { code: 'REGISTRY_SERVER_FAILED', retry: 'transient', retryAfterMs: 400_000 })
  assert.equal(sent(registry, 'PATCH').length, 2)
})

test('a try that moved bytes gives the whole budget back', async (t) => {
  const registry = await start(t, { sessions: 'dist3' })
  registry.fail({ method: 'PATCH', times: 9 }, { kind: 'cut-request', afterBytes: MIB })
  const told = await pushed(t, registry, testBlob(someBytes(12 * MIB)))
  assert.deepEqual(
    told.starts(),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((at) => at * MIB),
  )
})

test('upload.cut-before-first-byte: "0-0" may mean none or one, so a new session is opened', async (t) => {
  const registry = await start(t, { sessions: 'dist3' })
  registry.fail({ method: 'PATCH' }, { kind: 'cut-request', afterBytes: 0 })
  const told = await pushed(t, registry, testBlob(someBytes(9 * MIB)))
  assert.deepEqual(told.starts(), [0, 0])
  assert.equal(sent(registry, 'PATCH').length, 2)
  await waitFor('the first session to be given up', () => registry.openSessions === 0)
})

test('upload.416: a registry that still took in what was cut is asked again where it stands', async (t) => {
  const registry = await start(t, { sessions: 'dist3' })
  registry.fail({ method: 'PATCH' }, { kind: 'cut-request', afterBytes: 4 * MIB })
  registry.fail(
    { method: 'PATCH', nth: 2 },
    { kind: 'answer', status: 416, body: '{"errors":[{"code":"RANGE_INVALID"}]}' },
  )
  const told = await pushed(t, registry, testBlob(someBytes(9 * MIB)))
  assert.deepEqual(told.starts(), [0, 4 * MIB, 4 * MIB])
  assert.equal(sent(registry, 'POST').length, 1)
})

test('what the transport has tried as often as it may is not multiplied', async (t) => {
  const registry = await start(t)
  const repository = await openRepository(t, registry.host)
  await repository.stat(testBlob(someBytes(1)).descriptor.digest, { signal })
  registry.fail({ method: 'POST', times: 99 }, { kind: 'answer', status: 503, headers: { 'retry-after': '0' } })
  const blob = testBlob(someBytes(9 * MIB))
  await assert.rejects(repository.push(blob.descriptor, blob.open, { signal }), { code: 'REGISTRY_SERVER_FAILED' })
  assert.equal(sent(registry, 'POST').length, 8)
})

test('tries without progress end, and leave no session open', async (t) => {
  const registry = await start(t, { sessions: 'dist3' })
  registry.fail({ method: 'PATCH', times: 99 }, { kind: 'answer', status: 500, body: 'out of order' })
  const repository = await openRepository(t, registry.host)
  const blob = testBlob(someBytes(9 * MIB))
  await assert.rejects(repository.push(blob.descriptor, blob.open, { signal }), { code: 'REGISTRY_SERVER_FAILED' })
  assert.equal(sent(registry, 'PATCH').length, 4)
  await repository.releasePush()
  assert.equal(registry.openSessions, 0)
})

test('a digest that the registry finds wrong once is sent again from the start, twice is for good', async (t) => {
  const refusal = { kind: 'answer', status: 400, body: '{"errors":[{"code":"DIGEST_INVALID"}]}' } as const
  const once = await start(t)
  once.fail({ method: 'PUT' }, refusal)
  const told = await pushed(t, once, testBlob(someBytes(9 * MIB)))
  assert.deepEqual(told.starts(), [0, 0])

  const twice = await start(t)
  twice.fail({ method: 'PUT', times: 2 }, refusal)
  const repository = await openRepository(t, twice.host)
  const blob = testBlob(someBytes(9 * MIB))
  await assert.rejects(repository.push(blob.descriptor, blob.open, { signal }), { code: 'REGISTRY_REJECTED' })
  assert.equal(sent(twice, 'PUT').length, 2)
  await repository.releasePush()
  assert.equal(twice.openSessions, 0)
})

for (const size of [1000, 3 * MIB, 9 * MIB]) {
  test(`wrong bytes of a ${size} byte layer never become a blob, and the error is the caller's`, async (t) => {
    const registry = await start(t)
    const blob = testBlob(someBytes(size))
    const wrong = Buffer.from(blob.bytes)
    wrong[size - 1] = (wrong[size - 1] ?? 0) ^ 1
    const repository = await openRepository(t, registry.host)
    const push = repository.push(blob.descriptor, testBlob(wrong).open, {
      signal,
      verify: { mismatch: (found) => new AppError('PACKAGE_CHECKSUM_MISMATCH', `zarf.yaml is ${found}`) },
    })
    await assert.rejects(push, { code: 'PACKAGE_CHECKSUM_MISMATCH' })
    await repository.releasePush()
    assert.equal(registry.openSessions, 0)
    assert.equal(registry.blob('test/blobs', blob.descriptor.digest), undefined)
    assert.equal(sent(registry, 'PUT').filter((request) => request.status === 201).length, 0)
  })

  test(`too few and too many bytes of a ${size} byte layer are refused`, async (t) => {
    const registry = await start(t)
    const repository = await openRepository(t, registry.host)
    const { descriptor } = testBlob(someBytes(size))
    for (const bytes of [someBytes(size - 4), someBytes(size + 4)]) {
      await assert.rejects(repository.push(descriptor, testBlob(bytes).open, { signal }), { code: 'SIZE_MISMATCH' })
    }
    assert.equal(sent(registry, 'PATCH').length, size > 8 * MIB ? 2 : 0)
    await repository.releasePush()
    assert.equal(registry.openSessions, 0)
  })
}

test('a source that breaks off is opened again', async (t) => {
  const registry = await start(t, { sessions: 'dist3' })
  const blob = testBlob(someBytes(10 * MIB))
  let broken = false
  const flaky: TestBlob = {
    ...blob,
    open: async (options) => {
      const stream = await blob.open(options)
      return (async function* () {
        let count = 0
        for await (const chunk of stream) {
          yield chunk
          count += chunk.length
          if (broken || count < 5 * MIB) continue
          broken = true
          throw new AppError('REGISTRY_CONNECTION_LOST', 'the source broke the connection', { side: 'source' })
        }
      })()
    },
  }
  const told = await pushed(t, registry, flaky)
  const retrying = told.events.find((event) => event.type === 'retrying')
  assert.ok(retrying?.type === 'retrying' && retrying.error.side === 'source')
})

test('a canceled push stops in the middle of the body and gives its session up', async (t) => {
  const registry = await start(t)
  const blob = testBlob(someBytes(64 * MIB))
  const stop = new AbortController()
  const repository = await openRepository(t, registry.host)
  const push = repository.push(blob.descriptor, blob.open, {
    signal: stop.signal,
    onEvent: (event) => {
      if (event.type === 'bytes') stop.abort(new AppError('JOB_CANCELED', 'canceled'))
    },
  })
  await assert.rejects(push, { code: 'JOB_CANCELED' })
  await waitFor('the session to be canceled', () => registry.openSessions === 0)
  assert.ok((sent(registry, 'PATCH')[0]?.bodyBytes ?? 0) < 64 * MIB)
})

test('progress.monotone-acked: the bytes that are told are in order, and their sum is what went out', async (t) => {
  const registry = await start(t, { sessions: 'dist3' })
  registry.fail({ method: 'PATCH' }, { kind: 'cut-request', afterBytes: 4 * MIB })
  const { events } = await pushed(t, registry, testBlob(someBytes(12 * MIB)))
  let at = 0
  for (const event of events) {
    if (event.type === 'started') at = event.offset
    if (event.type !== 'bytes') continue
    at += event.wire
    assert.equal(event.offset, at)
  }
  assert.equal(at, 12 * MIB)
  assert.equal(events.at(-1)?.type, 'verifying')
})
