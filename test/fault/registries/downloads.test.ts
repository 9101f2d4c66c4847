import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readAll } from '../../../src/content/streams.ts'
import { type ProfileName, PROFILE_NAMES } from '../../helpers/registries/kit/profiles.ts'
import { type ProfileScene, profileScene, REPOSITORY } from '../../helpers/registries/kit/scene.ts'
import { someBytes, testBlob } from '../../helpers/registries/oci-client.ts'
import { waitFor } from '../../helpers/wait-for.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const BLOB = testBlob(someBytes(3 * MIB))

/** Who gives blobs from elsewhere. Source: registries.md 1, second half. */
const STORED: readonly ProfileName[] = [
  'dockerhub',
  'ecr',
  'ecr-public',
  'ghcr',
  'quay',
  'acr',
  'gar',
  'gitlab',
  'digitalocean',
  'pulp',
]

async function stored(...given: Parameters<typeof profileScene>): Promise<ProfileScene> {
  const scene = await profileScene(...given)
  scene.registry.putBlob(REPOSITORY, BLOB.bytes)
  return scene
}

const gets = ({ registry }: ProfileScene, from: 'registry' | 'storage') =>
  registry.requests.filter(({ method, origin, path }) => {
    return method === 'GET' && origin === from && (from === 'storage' || path.includes('/blobs/'))
  })

for (const name of PROFILE_NAMES) {
  // What has gone to storage with a password or a token fails the test: kit/rules.ts.
  test(`${name}: a download that breaks off goes on from where it stood, to its last byte`, async (t) => {
    const scene = await stored(t, name)
    const isStored = STORED.includes(name)
    const path = isStored ? /^\/bucket\// : /\/blobs\//
    const target = await scene.repository()
    // Logged in by then.
    await target.stat(BLOB.descriptor.digest, { signal })
    scene.registry.fail({ method: 'GET', path }, { kind: 'cut-response', afterBytes: MIB })
    const bytes = await readAll(await target.open(BLOB.descriptor, { signal }))
    assert.ok(bytes.equals(BLOB.bytes))
    const again = gets(scene, isStored ? 'storage' : 'registry').at(-1)
    assert.match(again?.headers.range ?? '', /^bytes=\d+-$/)
    if (isStored) assert.equal(gets(scene, 'registry').length, 2, 'a fresh address is asked for')
  })

  test(`${name}: nothing is asked for behind the last byte`, async (t) => {
    const scene = await stored(t, name)
    const target = await scene.repository()
    const { size } = BLOB.descriptor
    assert.equal((await readAll(await target.open(BLOB.descriptor, { signal, offset: size }))).length, 0)
    const tail = await readAll(await target.open(BLOB.descriptor, { signal, offset: size - 1 }))
    assert.ok(tail.equals(BLOB.bytes.subarray(size - 1)))
  })
}

for (const name of STORED) {
  test(`${name}: an address in its storage that ran out is asked for anew`, async (t) => {
    const scene = await stored(t, name)
    const hour = 3_600_000
    // Signed, and out of date by the time that it is used.
    scene.registry.fail(
      { method: 'GET', path: /^\/bucket\// },
      { kind: 'hold', until: Promise.resolve().then(() => scene.registry.advance(2 * hour)) },
    )
    const target = await scene.repository()
    const bytes = await readAll(await target.open(BLOB.descriptor, { signal }))
    assert.ok(bytes.equals(BLOB.bytes))
  })
}

// registries.md 12, 17: HEAD is sent on too, and the digest does not come back with it.
for (const name of ['gitlab', 'digitalocean'] as const) {
  test(`${name}: whether a blob is there is told by its storage`, async (t) => {
    const scene = await stored(t, name)
    const target = await scene.repository()
    assert.deepEqual(await target.stat(BLOB.descriptor.digest, { signal }), { size: BLOB.bytes.length })
  })

  test(`${name}: storage that signs for GET alone is asked for one byte`, async (t) => {
    const scene = await stored(t, name)
    scene.registry.fail({ method: 'HEAD', path: /^\/bucket\// }, { kind: 'answer', status: 403, body: '<Error/>' })
    const target = await scene.repository()
    assert.deepEqual(await target.stat(BLOB.descriptor.digest, { signal }), { size: BLOB.bytes.length })
  })
}

// registries.md 16: the whole blob, whatever was asked for.
for (const name of ['gitea', 'forgejo'] as const) {
  test(`${name}: what comes again before the wanted byte is thrown away`, async (t) => {
    const scene = await stored(t, name)
    const target = await scene.repository()
    const bytes = await readAll(await target.open(BLOB.descriptor, { signal, offset: 2 * MIB }))
    assert.ok(bytes.equals(BLOB.bytes.subarray(2 * MIB)))
  })
}

// registries.md 15: an answer that ends after 60 s, in good order.
test('zot: an answer that it ends at its deadline goes on by Range, as often as it takes', async (t) => {
  const scene = await stored(t, 'zot')
  for (const nth of [1, 2, 3])
    scene.registry.fail({ method: 'GET', path: /\/blobs\//, nth }, { kind: 'cut-response', afterBytes: MIB })
  const target = await scene.repository()
  const bytes = await readAll(await target.open(BLOB.descriptor, { signal }))
  assert.ok(bytes.equals(BLOB.bytes))
})

// registries.md 20.6 (9), 20.1 (7).
test('acr: a limit on requests is waited for, and costs nothing else', async (t) => {
  const rate = { kind: 'acr', limit: 3, windowMs: 1000 } as const
  const scene = await stored(t, 'acr', { overrides: [{ rate }] })
  const target = await scene.repository()
  const reads = [1, 2, 3, 4].map(() => target.stat(BLOB.descriptor.digest, { signal }))
  const refused = () => scene.registry.requests.some(({ status }) => status === 429)
  // The registry's own second goes on once somebody was refused.
  const timer = setInterval(() => refused() && scene.registry.advance(1000), 20)
  t.after(() => clearInterval(timer))
  for (const answer of await Promise.all(reads)) assert.deepEqual(answer, { size: BLOB.bytes.length })
})

test('dockerhub: a quota that no answer tells of is waited for once it refuses', async (t) => {
  const rate = { kind: 'hub', limit: 1, windowMs: 6 * 3_600_000, told: false } as const
  const scene = await stored(t, 'dockerhub', { overrides: [{ rate }] })
  const target = await scene.repository()
  assert.equal(await target.getManifest('1.0.0', { signal }), undefined)
  const second = target.getManifest('1.0.1', { signal })
  await waitFor('a refusal', () => scene.registry.requests.some(({ status }) => status === 429))
  scene.registry.advance(6 * 3_600_000)
  assert.equal(await second, undefined)
})
