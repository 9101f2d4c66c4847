import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_INDEX } from '../../src/content/media-types.ts'
import type { CredentialProvider } from '../../src/oci/credentials/provider.ts'
import { createRegistryClient, type MirrorNote } from '../../src/oci/registry.ts'
import { inspectPackage } from '../../src/transfer/inspect/overview.ts'
import { parseReference } from '../../src/content/reference.ts'
import { defer } from '../helpers/cleanup.ts'
import { bed, MIB, PLACE } from '../helpers/packages/pull-bed.ts'
import { pullFrom, putPackage } from '../helpers/packages/pulling.ts'
import {
  type MemoryRegistry,
  type MemoryRegistryOptions,
  startMemoryRegistry,
} from '../helpers/registries/memory-registry.ts'
import { connect } from '../helpers/registries/transport.ts'
import { createStepClock, type StepClock } from '../helpers/step-clock.ts'

/** Pulls of a registry that has a mirror, which serves right, wrong, or nothing. */

const THERE = { repository: `hub/${PLACE.repository}`, tag: PLACE.tag }
const { signal } = new AbortController()

async function scene(t: TestContext, options: MemoryRegistryOptions & { mirror?: string; clock?: StepClock } = {}) {
  const { mirror: named, clock, ...rest } = options
  const { basic } = rest
  const { registry, reference, big, layers } = await bed(t)
  const mirror = await startMemoryRegistry(rest)
  defer(t, () => mirror.close())
  putPackage(registry, PLACE, layers)
  const notes: MirrorNote[] = []
  const credentials: CredentialProvider = {
    async find({ registry: place }) {
      if (place !== mirror.host || !basic) return undefined
      return { id: 'mirror', source: 'here', credential: async () => ({ kind: 'basic', ...basic }) }
    },
  }
  const connections = connect(t)
  const begin = () =>
    createRegistryClient({
      connections,
      credentials,
      plainHttp: () => false,
      mirror: (place) => (place === registry.host ? (named ?? `${mirror.host}/hub`) : undefined),
      onMirror: (_registry, note) => void notes.push(note),
      ...(clock ? { clock } : {}),
      signal,
    })
  const client = begin()
  /** One job after the other, in one process. */
  const pull = (by = begin()) => pullFrom(t, reference, { repository: (place, name) => by.mirrored(place, name) })
  return { registry, mirror, big, layers, notes, client, reference, pull }
}

const gets = ({ requests }: MemoryRegistry) =>
  requests.filter(({ method, path }) => method !== 'PUT' && /\/(?:blobs|manifests)\//.test(path))

async function isWhole({ outcome, store }: Awaited<ReturnType<typeof pullFrom>>): Promise<void> {
  assert.equal((await store.packages.get(outcome.digest))?.complete, true)
  assert.equal((await store.check({ signal })).findings.length, 0)
}

test('all of a package comes from a mirror that has it, asked by the name of the registry and with its own credentials', async (t) => {
  const { registry, mirror, layers, notes, client, reference, pull } = await scene(t, {
    basic: { username: 'mia', password: 'secret' },
  })
  putPackage(mirror, THERE, layers)
  await isWhole(await pull())
  assert.deepEqual(gets(registry), [])
  assert.deepEqual(notes, [])
  for (const { path, query } of gets(mirror)) {
    assert.match(path, /^\/v2\/hub\/team\/sample\/(?:blobs|manifests)\//)
    assert.equal(query.get('ns'), registry.host)
  }
  const repository = await client.mirrored(registry.host, PLACE.repository)
  const request = { reference: parseReference(`oci://${reference}`), architecture: 'amd64' }
  // The tags are the registry's to tell; who does not read asks no mirror.
  const before = mirror.requests.length
  await inspectPackage(request, { repository, signal }).catch(() => undefined)
  assert.ok(mirror.requests.length > before)
  assert.ok(mirror.requests.every(({ path }) => !path.includes('/tags/')))
  const asked = mirror.requests.length
  const plain = await client.repository(registry.host, PLACE.repository)
  assert.ok(await plain.headManifest(PLACE.tag, { signal }))
  await plain.preparePush({ signal })
  await plain.releasePush()
  assert.equal(mirror.requests.length, asked)
})

test('what a mirror does not have comes from the registry, which is told once', async (t) => {
  const { registry, mirror, big, layers, notes, pull } = await scene(t)
  putPackage(mirror, THERE, layers)
  mirror.deleteBlob(THERE.repository, digestOf(big))
  await isWhole(await pull())
  assert.deepEqual(
    gets(registry).map(({ path }) => path),
    [`/v2/${PLACE.repository}/blobs/${digestOf(big)}`],
  )
  assert.deepEqual(
    notes.map(({ kind }) => kind),
    ['miss'],
  )
  const empty = await scene(t)
  await isWhole(await empty.pull())
  assert.equal(empty.notes.length, 1)
  assert.ok(gets(empty.mirror).length > 1)
})

test('wrong bytes of a mirror are found, and come from the registry', async (t) => {
  const { registry, mirror, big, layers, notes, pull } = await scene(t)
  putPackage(mirror, THERE, layers)
  const wrong = Buffer.alloc(big.length, 1)
  mirror.putBlob(THERE.repository, wrong, digestOf(big))
  const checksums = layers.find(({ title }) => title === 'checksums.txt')?.bytes ?? Buffer.alloc(0)
  mirror.putBlob(THERE.repository, Buffer.alloc(checksums.length, 1), digestOf(checksums))
  await isWhole(await pull())
  assert.deepEqual(
    new Set(gets(registry).map(({ path }) => path.split('/').at(-1))),
    new Set([digestOf(big), digestOf(checksums)]),
  )
  assert.deepEqual(
    notes.map(({ kind }) => kind),
    ['failure'],
  )
  assert.match(notes[0]?.message ?? '', /gave other bytes \(DIGEST_MISMATCH\)/)
})

test('a manifest that is none, or has another digest, comes from the registry', async (t) => {
  const { registry, mirror, layers, notes, pull } = await scene(t)
  const digest = putPackage(mirror, THERE, layers)
  mirror.manifests.put(THERE.repository, THERE.tag, OCI_INDEX, Buffer.from('{"schemaVersion":2,"manifests":7}'))
  mirror.fail(
    { method: 'GET', path: new RegExp(digest) },
    { kind: 'answer', status: 200, headers: { 'content-type': 'application/json' }, body: '{}' },
  )
  await isWhole(await pull())
  assert.deepEqual(
    gets(registry).map(({ path }) => path.split('/').at(-1)),
    [PLACE.tag, digest],
  )
  assert.equal(notes.length, 1)
})

test('a mirror that breaks off in a layer costs what is left of it', async (t) => {
  const { registry, mirror, big, layers, notes, pull } = await scene(t)
  putPackage(mirror, THERE, layers)
  mirror.fail({ method: 'GET', path: new RegExp(digestOf(big)) }, { kind: 'cut-response', afterBytes: MIB })
  const pulled = await pull()
  await isWhole(pulled)
  const [rest, ...more] = gets(registry)
  assert.equal(more.length, 0)
  assert.match(rest?.headers.range ?? '', /^bytes=\d+-$/)
  assert.notEqual(rest?.headers.range, 'bytes=0-')
  assert.deepEqual(
    notes.map(({ kind }) => kind),
    ['failure'],
  )
})

for (const [title, status] of [
  ['limits requests', 429],
  ['is failing', 503],
  ['lets nobody in', 401],
] as const) {
  test(`a mirror that ${title} is left alone after three requests, and waited for never`, async (t) => {
    const { mirror, layers, notes, pull } = await scene(t)
    putPackage(mirror, THERE, layers)
    mirror.fail(
      { path: /\/(?:blobs|manifests)\//, times: 1000 },
      { kind: 'answer', status, headers: { 'retry-after': '600' } },
    )
    await isWhole(await pull())
    // Two are under way together when the third fails.
    assert.ok(gets(mirror).length <= 4, String(gets(mirror).length))
    assert.equal(notes.length, 1)
    assert.match(notes[0]?.message ?? '', new RegExp(`^the mirror 127.0.0.1:\\d+/hub failed at .*${status}`))
  })
}

test('a mirror that is down, or that nobody may contact, fails nothing', async (t) => {
  for (const mirror of ['127.0.0.1:1/hub', '169.254.169.254/hub', 'mirror.invalid']) {
    const { notes, pull } = await scene(t, { mirror })
    await isWhole(await pull())
    assert.equal(notes.length, 1, mirror)
    assert.equal(notes[0]?.kind, 'failure')
  }
})

test('a mirror that did not answer is left alone by all of the process for a while', async (t) => {
  const mirror = await startMemoryRegistry()
  const clock = createStepClock()
  const { notes, big, layers, pull } = await scene(t, { mirror: mirror.host, clock })
  await mirror.close()
  await isWhole(await pull())
  assert.match(notes[0]?.message ?? '', /failed at the manifest/)
  const back = await startMemoryRegistry({ port: Number(mirror.host.split(':')[1]) })
  defer(t, () => back.close())
  putPackage(back, PLACE, layers)
  await isWhole(await pull())
  assert.deepEqual(gets(back), [])
  assert.match(notes[1]?.message ?? '', /did not answer a moment ago/)
  clock.advance(60_000)
  await isWhole(await pull())
  assert.ok(gets(back).some(({ path }) => path.endsWith(digestOf(big))))
  assert.equal(notes.length, 2)
})
