import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { AppError } from '../../src/lib/errors.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { memorySessions, recorder, testBlob } from '../helpers/registries/oci-client.ts'
import { profile } from '../helpers/registries/kit/profiles.ts'
import { end, inParts, LARGE, pushed, ranges, scene, startUploadRegistry } from '../helpers/registries/upload-scene.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal

test('a registry whose sessions die with their connection gets parts from then on', async (t) => {
  const found = await scene(t, profile('zot').uploads)
  found.registry.cutAfter(17 * MIB)
  const { told, blob } = await pushed(found, 20 * MIB)
  assert.deepEqual(ranges(found.registry), [
    'PATCH - cut',
    'GET - 404',
    `PATCH 0-${end(8)} 202`,
    `PATCH ${8 * MIB}-${end(16)} 202`,
    `PATCH ${16 * MIB}-${end(20)} 202`,
    'PUT - 201',
  ])
  assert.deepEqual(told.starts(), [0, 0])
  // The source is read on from part to part: an archive's entry that is opened again is read from the archive's start.
  assert.deepEqual(blob.opened, [0, 0])
})

for (const { name, as, ways, left } of [
  {
    name: 'Quay',
    as: 'quay.io',
    ways: profile('quay').uploads,
    left: ['GET - 204', `PATCH ${16 * MIB}-${end(20)} 202`, 'PUT - 201'],
  },
  // It is not asked where it stands, and wants the last part in the PUT.
  { name: 'ECR', as: 'public.ecr.aws', ways: profile('ecr').uploads, left: [`PUT ${16 * MIB}-${end(20)} 201`] },
]) {
  test(`parts that ${name} acknowledged stay: another process sends what comes after them, and no more`, async (t) => {
    const sessions = memorySessions()
    const first = await inParts(t, ways, { as, sessions })
    const blob = testBlob(LARGE.subarray(0, 20 * MIB))
    const stop = new AbortController()
    const saved: number[] = []
    const push = first.repository.push(blob.descriptor, blob.open, {
      signal: stop.signal,
      onEvent(event) {
        const [upload] = sessions.saved.values() as Iterable<{ offset: number }>
        if (upload && saved.at(-1) !== upload.offset) saved.push(upload.offset)
        if (event.type === 'bytes' && event.offset > 17 * MIB) stop.abort(new AppError('SHUTTING_DOWN', 'it ends'))
      },
    })
    await assert.rejects(push, { code: 'SHUTTING_DOWN' })
    assert.deepEqual(saved, [0, 8 * MIB, 16 * MIB])
    const { registry } = first
    const third = () => registry.requests.length === 3 && registry.receiving === 0
    await waitFor('the registry to have seen the end of the third part', third)

    const second = await scene(t, ways, { as, sessions, registry })
    const told = recorder()
    const again = testBlob(blob.bytes)
    await second.repository.push(again.descriptor, again.open, { signal, onEvent: told.onEvent })
    assert.deepEqual(registry.blob(blob.descriptor.digest), blob.bytes)
    assert.deepEqual(told.starts(), [16 * MIB])
    assert.deepEqual(again.opened, [16 * MIB])
    assert.deepEqual(ranges(registry).slice(3), left)
    assert.equal(registry.opened, 1)
    assert.equal(sessions.saved.size, 0)
  })
}

test('upload.server-deadline.adapts: a server that cuts at an age is learnt, and parts stay below that', async (t) => {
  // Time runs twenty times as fast for the client: the server cuts at 16 s.
  const clock = { ...systemClock, now: () => Date.now() * 20 }
  const registry = await startUploadRegistry(t, { ...profile('zot').uploads, deadlineMs: 800 })
  const proxy = await startFaultProxy(t, registry.host, { bytesPerSecond: 16 * MIB })
  const found = { ...(await scene(t, profile('zot').uploads, { via: proxy.host, clock })), registry }
  await pushed(found, 20 * MIB)
  const { uploads } = found.learned
  assert.equal(uploads.cutKeeps, 'nothing')
  const before = registry.requests.length
  await pushed(found, 10 * MIB)
  const parts = registry.requests.slice(before).filter(({ method }) => method === 'PATCH')
  assert.ok(parts.length > 1)
  for (const { length = Infinity } of parts) assert.ok(length < 8 * MIB, `${length} bytes in a request`)
})

test('a link that holds gets one long request', async (t) => {
  const found = await scene(t, {})
  await pushed(found, 24 * MIB)
  assert.deepEqual(ranges(found.registry), ['PATCH - 202', 'PUT - 201'])
  assert.ok((found.learned.uploads.bytesPerSecond ?? 0) > 0)
})

test('a registry that keeps the bytes of a cut request goes on with long ones', async (t) => {
  const found = await scene(t, {})
  found.registry.cutAfter(20 * MIB)
  await pushed(found, 24 * MIB)
  assert.equal(found.learned.uploads.cutKeeps, 'bytes')
  assert.deepEqual(ranges(found.registry), [
    'PATCH - cut',
    'GET - 204',
    `PATCH ${20 * MIB}-${end(24)} 202`,
    'PUT - 201',
  ])
})

test('upload.empty-put-refused.last-chunk-in-put: ECR gets parts of its size; its Range and its status are not believed', async (t) => {
  const found = await scene(t, profile('ecr').uploads, { as: 'public.ecr.aws' })
  found.registry.cutAfter(17 * MIB)
  const told: number[] = []
  const blob = testBlob(LARGE.subarray(0, 24 * MIB))
  await found.repository.push(blob.descriptor, blob.open, {
    signal,
    onEvent(event) {
      if (event.type === 'started') told.push(event.offset)
      // The second part breaks off; what was acknowledged before is our own count.
      if (event.type === 'bytes' && event.offset === 8 * MIB && told.length === 2) found.registry.cutAfter(2 * MIB)
    },
  })
  assert.deepEqual(found.registry.blob(blob.descriptor.digest), blob.bytes)
  assert.deepEqual(told, [0, 0, 8 * MIB])
  const sent = found.registry.requests.filter(({ method }) => method !== 'GET')
  assert.equal(sent.at(-1)?.method, 'PUT')
  assert.ok((sent.at(-1)?.length ?? 0) > 0)
  assert.ok(sent.slice(1, -1).every(({ length = 0 }) => length >= 5 * MIB && length <= 10 * MIB))
  assert.deepEqual(
    found.registry.requests.filter(({ method }) => method === 'GET'),
    [],
  )
})

test('upload.416-too-large-is-not-offset: GHCR takes 4 MiB of what has a length', async (t) => {
  const found = await scene(t, profile('ghcr').uploads, { as: 'ghcr.io' })
  found.registry.cutAfter(9 * MIB)
  await pushed(found, 20 * MIB)
  assert.deepEqual(ranges(found.registry), [
    'PATCH - cut',
    'GET - 204',
    `PATCH ${9 * MIB}-${end(13)} 202`,
    `PATCH ${13 * MIB}-${end(17)} 202`,
    `PATCH ${17 * MIB}-${end(20)} 202`,
    'PUT - 201',
  ])
  // One that is not known as GHCR is asked with smaller and smaller ones, and nothing is sent twice.
  const unknown = await scene(t, profile('ghcr').uploads)
  unknown.registry.cutAfter(9 * MIB)
  const { told } = await pushed(unknown, 20 * MIB)
  assert.equal(unknown.learned.uploads.maxBodyBytes, 2 * MIB)
  assert.ok(told.starts().every((offset) => offset === 0 || offset === 9 * MIB))
})

test('upload.413-halves-chunk: a proxy that takes small bodies alone gets those', async (t) => {
  const found = await scene(t, { bodyMaxBytes: 3 * MIB })
  await pushed(found, 7 * MIB)
  assert.ok(found.registry.requests.some(({ status }) => status === 413))
  const taken = found.registry.requests.filter(({ method, status }) => method === 'PATCH' && status === 202)
  assert.ok(taken.length >= 3 && taken.every(({ length = 0 }) => length <= 3 * MIB))
})

test('a body that is refused even at a MiB fails for good, and says what to look at', async (t) => {
  const { registry, repository } = await scene(t, { bodyMaxBytes: 1000 })
  const blob = testBlob(LARGE.subarray(0, 7 * MIB))
  await assert.rejects(repository.push(blob.descriptor, blob.open, { signal }), (error: Error & { hint?: string }) => {
    assert.match(error.hint ?? '', /client_max_body_size/)
    return true
  })
  await repository.releasePush()
  assert.equal(registry.openSessions, 0)
})

test('upload.gar: no second PATCH, and a cut begins anew', async (t) => {
  const found = await scene(t, profile('gar').uploads, { as: 'europe-docker.pkg.dev' })
  found.registry.cutAfter(17 * MIB)
  await pushed(found, 20 * MIB)
  assert.deepEqual(ranges(found.registry), ['PUT - cut', 'PUT - 201'])
})

test('a registry that turns out to take one PATCH alone gets docker’s way again', async (t) => {
  const found = await scene(t, profile('gar').uploads)
  found.registry.cutAfter(17 * MIB)
  await pushed(found, 20 * MIB)
  assert.deepEqual(ranges(found.registry), [
    'PATCH - cut',
    'GET - 404',
    `PATCH 0-${end(8)} 202`,
    `PATCH ${8 * MIB}-${end(16)} 400`,
    'PATCH - 202',
    'PUT - 201',
  ])
  assert.equal(found.learned.uploads.parts, 'refused')
})

for (const [name, as, bias] of [
  ['upload.quay.bias-plus-one: its count is one too high', 'quay.io', undefined],
  ['a registry whose count turns out to be one too high is found out', undefined, 1],
] as const) {
  test(name, async (t) => {
    const { repository, registry, learned } = await inParts(t, profile('quay').uploads, as === undefined ? {} : { as })
    const blob = testBlob(LARGE.subarray(0, 20 * MIB))
    const starts: number[] = []
    await repository.push(blob.descriptor, blob.open, {
      signal,
      onEvent(event) {
        if (event.type === 'started') starts.push(event.offset)
        if (event.type === 'bytes' && event.offset === 8 * MIB && starts.length === 1) registry.cutAfter(3 * MIB)
      },
    })
    assert.deepEqual(registry.blob(blob.descriptor.digest), blob.bytes)
    assert.equal(learned.uploads.rangeBias, bias)
    // Nothing began anew. Who does not know it yet is told so by the first part that does not fit.
    assert.deepEqual(new Set(starts), new Set(as === undefined ? [0, 8 * MIB + 1, 8 * MIB] : [0, 8 * MIB]))
    assert.ok(!starts.slice(1).includes(0))
  })
}
