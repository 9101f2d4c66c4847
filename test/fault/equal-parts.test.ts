import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SavedUpload } from '../../src/content/checkpoint.ts'
import type { RegistryFact, RegistryFactStore } from '../../src/content/registry-facts.ts'
import { AppError } from '../../src/lib/errors.ts'
import { createKeptFacts } from '../../src/oci/facts/kept-facts.ts'
import { memorySessions, recorder, testBlob } from '../helpers/registries/oci-client.ts'
import { profile } from '../helpers/registries/kit/profiles.ts'
import {
  end,
  inParts,
  LARGE,
  pushed,
  ranges,
  type Scene,
  scene,
  type UploadRegistry,
} from '../helpers/registries/upload-scene.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const CLOUDFLARE = profile('cloudflare').uploads
const REFUSED = { code: 'BLOB_UPLOAD_INVALID', message: 'chunked uploads are not supported' }
const signal = new AbortController().signal

const bodies = ({ requests }: UploadRegistry, from = 0) => requests.slice(from).filter(({ bytes }) => bytes > 0)
const refused = ({ requests }: UploadRegistry) => requests.filter(({ status }) => (status ?? 0) >= 400).length

/** Pushes, and calls back when so many bytes are told of. */
async function pushedUntil({ repository, registry }: Scene, bytes: number, at: number, then: () => void) {
  const blob = testBlob(LARGE.subarray(0, bytes))
  const told = recorder()
  let called = false
  await repository.push(blob.descriptor, blob.open, {
    signal,
    onEvent(event) {
      told.onEvent(event)
      if (called || event.type !== 'bytes' || event.offset < at) return
      called = true
      then()
    },
  })
  await repository.releasePush()
  assert.ok(registry.blob(blob.descriptor.digest)?.equals(blob.bytes))
  assert.equal(registry.openSessions, 0)
  return told
}

test('a session’s parts are of one size, and nothing is sent twice: larger ones wait for the next blob', async (t) => {
  const found = await inParts(t, CLOUDFLARE)
  const { registry } = found
  await pushed(found, 44 * MIB)
  assert.deepEqual(
    bodies(registry).map(({ bytes }) => bytes / MIB),
    [8, 8, 8, 8, 8, 4],
  )
  assert.equal(registry.bytes, 44 * MIB)
  assert.equal(refused(registry), 0)
  assert.equal(found.learned.uploads.parts, 'taken')
  found.learned.uploads.bytesPerSecond = 1.3 * MIB
  const before = registry.requests.length
  await pushed(found, 43 * MIB)
  assert.deepEqual(
    bodies(registry, before).map(({ bytes }) => bytes / MIB),
    [13, 13, 13, 4],
  )
  assert.equal(registry.bytes, 87 * MIB)
})

test('what is sent in all is the blob, and the request that broke off', async (t) => {
  const found = await scene(t, CLOUDFLARE)
  const { registry } = found
  registry.cutAfter(20 * MIB)
  await pushed(found, 48 * MIB)
  assert.equal(registry.bytes, 68 * MIB)
  assert.equal(refused(registry), 0)
})

test('what a registry says of the size of parts as it opens a session is kept to', async (t) => {
  const most = 6_000_000
  const found = await scene(t, { ...CLOUDFLARE, chunkBytes: [5 * MIB, most] })
  const { registry } = found
  for (const bytes of [20 * MIB, 7 * MIB]) {
    const before = registry.requests.length
    await pushed(found, bytes)
    const parts = bodies(registry, before).map(({ length }) => length ?? Infinity)
    assert.equal(new Set(parts.slice(0, -1)).size, 1)
    for (const length of parts.slice(0, -1)) assert.ok(length >= 5 * MIB && length <= most, `${length} bytes`)
    assert.ok((parts.at(-1) ?? Infinity) <= most)
  }
  await pushed(found, 5 * MIB)
  assert.equal(registry.requests.at(-1)?.method, 'PUT')
  assert.equal(registry.requests.at(-1)?.length, 5 * MIB)
  assert.equal(registry.bytes, 32 * MIB)
  // On a slow link they are no smaller than they may be.
  found.learned.uploads.bytesPerSecond = 1000
  const before = registry.requests.length
  await pushed(found, 12 * MIB)
  assert.deepEqual(
    bodies(registry, before).map(({ length }) => length),
    [5 * MIB, 5 * MIB, 2 * MIB],
  )
})

test('a part that broke off goes again as it was', async (t) => {
  const found = await inParts(t, CLOUDFLARE)
  const { registry } = found
  await pushedUntil(found, 40 * MIB, 16 * MIB, () => registry.cutAfter(5 * MIB))
  assert.deepEqual(ranges(registry), [
    `PATCH 0-${end(8)} 202`,
    `PATCH ${8 * MIB}-${end(16)} 202`,
    `PATCH ${16 * MIB}-${end(24)} cut`,
    'GET - 204',
    `PATCH ${16 * MIB}-${end(24)} 202`,
    `PATCH ${24 * MIB}-${end(32)} 202`,
    `PATCH ${32 * MIB}-${end(40)} 202`,
    'PUT - 201',
  ])
  assert.equal(registry.bytes, 45 * MIB)
})

test('parts that break off twice in a row on a link that became slow are smaller from then on', async (t) => {
  const clock = createStepClock()
  const { registry, repository, learned } = await inParts(t, { cut: 'parts' }, { clock })
  Object.assign(learned.uploads, { parts: 'taken', bytesPerSecond: 1.6 * MIB })
  const blob = testBlob(LARGE.subarray(0, 20 * MIB))
  let cuts = 0
  let slow = false
  await repository.push(blob.descriptor, blob.open, {
    signal,
    onEvent(event) {
      const begins = event.type === 'started' || (event.type === 'bytes' && event.offset === 16 * MIB)
      if (begins && event.offset === 16 * MIB && cuts < 2) {
        cuts += 1
        slow = true
        registry.cutAfter(2 * MIB)
      } else if (event.type === 'bytes' && event.offset > 17 * MIB && slow) {
        slow = false
        clock.advance(20_000)
      }
    },
  })
  assert.ok(registry.blob(blob.descriptor.digest)?.equals(blob.bytes))
  const parts = ranges(registry).filter((line) => line.startsWith('PATCH'))
  const whole = `PATCH ${16 * MIB}-${end(20)} cut`
  assert.deepEqual(parts.slice(0, 4), [`PATCH 0-${end(16)} 202`, whole, whole, `PATCH ${16 * MIB}-${end(17)} 202`])
})

test('what a registry kept of a part that broke off is made a whole one first', async (t) => {
  const found = await inParts(t, {})
  const { registry } = found
  await pushedUntil(found, 24 * MIB, 8 * MIB, () => registry.cutAfter(3 * MIB))
  assert.deepEqual(ranges(registry), [
    `PATCH 0-${end(8)} 202`,
    `PATCH ${8 * MIB}-${end(16)} cut`,
    'GET - 204',
    `PATCH ${11 * MIB}-${end(16)} 202`,
    `PATCH ${16 * MIB}-${end(24)} 202`,
    'PUT - 201',
  ])
})

/** A first process that ends while its third part is on its way, and one on a faster link that comes after it. */
async function resumed(t: Parameters<typeof scene>[0], saved: (upload: SavedUpload) => SavedUpload) {
  const sessions = memorySessions()
  const first = await inParts(t, CLOUDFLARE, { sessions })
  const { registry } = first
  const blob = testBlob(LARGE)
  const stop = new AbortController()
  const firstParts: unknown[] = []
  const push = first.repository.push(blob.descriptor, blob.open, {
    signal: stop.signal,
    onEvent(event) {
      const [upload] = sessions.saved.values() as Iterable<SavedUpload>
      if (event.type === 'bytes' && event.offset < 8 * MIB) firstParts.push(upload?.parts)
      if (event.type === 'bytes' && event.offset > 17 * MIB) stop.abort(new AppError('SHUTTING_DOWN', 'it ends'))
    },
  })
  await assert.rejects(push, { code: 'SHUTTING_DOWN' })
  // Before one is acknowledged: the registry may get it, and the process end before it knows.
  assert.deepEqual(firstParts[0], { from: 0, bytes: 8 * MIB })
  const seen = () => registry.requests.length === 3 && registry.receiving === 0
  await waitFor('the registry to have seen the end of the third part', seen)
  for (const [key, upload] of sessions.saved) sessions.saved.set(key, saved(upload as SavedUpload))

  const second = await scene(t, CLOUDFLARE, { sessions, registry })
  Object.assign(second.learned.uploads, { parts: 'taken', cutKeeps: 'parts', bytesPerSecond: 1.5 * MIB })
  const before = registry.requests.length
  const sent = registry.bytes
  const told = recorder()
  await second.repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  assert.ok(registry.blob(blob.descriptor.digest)?.equals(blob.bytes))
  assert.equal(sessions.saved.size, 0)
  return { second, registry, told, before, sent }
}

/** As a process left it that knew nothing of parts. */
const withoutParts = ({ location, offset, size, startedAt }: SavedUpload) => ({ location, offset, size, startedAt })

test('another process goes on with parts of the size that its predecessor chose', async (t) => {
  const { registry, told, before } = await resumed(t, (upload) => upload)
  assert.deepEqual(told.starts(), [16 * MIB])
  assert.deepEqual(ranges(registry).slice(before), [
    'GET - 204',
    ...[16, 24, 32, 40].map((at) => `PATCH ${at * MIB}-${end(at + 8)} 202`),
    'PUT - 201',
  ])
  assert.equal(registry.opened, 1)
})

test('a part that is refused where the registry stands goes out three times, then equal ones from the start', async (t) => {
  const { second, registry, told, before, sent } = await resumed(t, withoutParts)
  const { learned } = second
  assert.equal(refused(registry), 3)
  assert.deepEqual(
    ranges(registry)
      .slice(before)
      .filter((line) => !line.startsWith('GET')),
    [
      ...[1, 2, 3].map(() => `PATCH ${16 * MIB}-${end(31)} 416`),
      `PATCH 0-${end(15)} 202`,
      `PATCH ${15 * MIB}-${end(30)} 202`,
      `PATCH ${30 * MIB}-${end(45)} 202`,
      `PATCH ${45 * MIB}-${end(48)} 202`,
      'PUT - 201',
    ],
  )
  assert.equal(registry.bytes - sent, (48 + 3 * 15) * MIB)
  assert.equal(learned.uploads.parts, 'equal')
  const retried = told.events.flatMap((event) => (event.type === 'retrying' ? [event.error] : []))
  assert.match(retried[0]?.message ?? '', /it answered 416 RANGE_ERROR to the bytes from 16777216 on/)
  assert.equal(retried[0]?.upstream?.ociCode, 'RANGE_ERROR')
  const restarted = told.events.find((event) => event.type === 'restarted')
  assert.ok(restarted?.type === 'restarted')
  assert.match(restarted.message, /it refuses the part from 16777216 on: it gets parts of one size/)
  // And so for every blob from then on.
  await pushed(second, 30 * MIB)
  assert.equal(refused(registry), 3)
  assert.equal(learned.uploads.parts, 'equal')
})

for (const { parts, opened, sent } of [
  { parts: 'taken', opened: 1, sent: 20 },
  { parts: 'equal', opened: 2, sent: 28 },
] as const) {
  test(`parts that may not be so large any more: a registry that has ${parts} them`, async (t) => {
    const found = await inParts(t, parts === 'equal' ? CLOUDFLARE : { cut: 'parts' })
    const { registry, learned } = found
    Object.assign(learned.uploads, { parts, bytesPerSecond: 0.8 * MIB })
    // What another blob has shown meanwhile.
    await pushedUntil(found, 20 * MIB, 8 * MIB, () => (learned.uploads.maxBodyBytes = 6 * MIB))
    assert.equal(registry.opened, opened)
    assert.equal(registry.bytes, sent * MIB)
    assert.equal(refused(registry), 0)
    for (const { length = Infinity } of bodies(registry).slice(1)) assert.ok(length <= 6 * MIB)
  })
}

for (const { what, ways, sessions } of [
  { what: '416, and stands where it stood', ways: { status: 416, sessionStays: true }, sessions: 2 },
  { what: '416, and ends the session', ways: { status: 416 }, sessions: 4 },
  { what: '405', ways: { status: 405 }, sessions: 2 },
]) {
  test(`a registry that answers the second PATCH with ${what} gets all in one from then on`, async (t) => {
    const found = await scene(t, { onePatch: { ...REFUSED, ...ways }, chunkBytes: [MIB, 8 * MIB] })
    const { registry, learned } = found
    await pushed(found, 20 * MIB)
    assert.equal(learned.uploads.parts, 'refused')
    assert.equal(registry.opened, sessions)
    // No request broke off.
    assert.equal(learned.uploads.cutKeeps, undefined)
    const before = registry.requests.length
    await pushed(found, 21 * MIB)
    assert.deepEqual(ranges(registry).slice(before), ['PATCH - 202', 'PUT - 201'])
  })
}

test('so does one that is known for it, whatever a request left there that broke off', async (t) => {
  const found = await scene(t, { onePatch: { ...REFUSED, status: 416, sessionStays: true }, cutCounts: true })
  const { registry, learned } = found
  learned.uploads.parts = 'refused'
  registry.cutAfter(9 * MIB)
  await pushed(found, 20 * MIB)
  assert.deepEqual(
    ranges(registry).filter((line) => !line.startsWith('GET')),
    ['PATCH - cut', ...[1, 2, 3].map(() => `PATCH ${9 * MIB}-${end(20)} 416`), 'PATCH - 202', 'PUT - 201'],
  )
  assert.equal(learned.uploads.parts, 'refused')
})

test('that a registry takes parts of one size, and how large they may be, others know too', async () => {
  const saved: Record<string, RegistryFact | undefined> = {}
  const store: RegistryFactStore = {
    load: async () =>
      Object.fromEntries(Object.entries(saved).flatMap(([name, fact]) => (fact === undefined ? [] : [[name, fact]]))),
    save: async (_, changes) => Boolean(Object.assign(saved, changes)),
  }
  const one = createKeptFacts('registry.example', store)
  Object.assign(one.learned.uploads, { parts: 'equal', minPartBytes: 5 * MIB, maxPartBytes: 100_000_000 })
  one.share()
  const other = createKeptFacts('registry.example', store)
  await other.refresh()
  assert.deepEqual(other.learned.uploads, { parts: 'equal', minPartBytes: 5 * MIB, maxPartBytes: 100_000_000 })
  saved.parts = 'odd'
  saved.maxPartBytes = -1
  const third = createKeptFacts('registry.example', store)
  await third.refresh()
  assert.deepEqual(third.learned.uploads, { minPartBytes: 5 * MIB })
})
