import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppError } from '../../../src/lib/errors.ts'
import { recorder, someBytes, testBlob } from '../../helpers/registries/oci-client.ts'
import { createStepClock } from '../../helpers/step-clock.ts'
import { CLOUDFLARE_FRONT, NGINX_1M, PROFILE_NAMES } from '../../helpers/registries/kit/profiles.ts'
import { profileScene, REPOSITORY, type ProfileScene } from '../../helpers/registries/kit/scene.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const LARGE = someBytes(24 * MIB)

/** Pushes the first so many bytes; where each try began. */
async function pushed({ registry, repository }: ProfileScene, bytes: number): Promise<number[]> {
  const blob = testBlob(LARGE.subarray(0, bytes))
  const told = recorder()
  const target = await repository()
  await target.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  await target.releasePush()
  assert.ok(registry.blob(REPOSITORY, blob.descriptor.digest)?.equals(blob.bytes))
  return told.starts()
}

// registries.md 20.2 (3, 4, 6), 20.9: what a registry of that name takes after a cut.
for (const { name, parts } of [
  { name: 'ecr', parts: ['PATCH 0-8388607 201', 'PATCH 8388608-16777215 201', 'PUT 16777216-25165823 201'] },
  {
    name: 'acr',
    parts: ['PATCH 0-8388607 202', 'PATCH 8388608-16777215 202', 'PATCH 16777216-25165823 202', 'PUT - 201'],
  },
  {
    name: 'artifactory',
    parts: ['PATCH 0-8388607 202', 'PATCH 8388608-16777215 202', 'PATCH 16777216-25165823 202', 'PUT - 201'],
  },
  {
    name: 'gitea',
    parts: ['PATCH 0-8388607 202', 'PATCH 8388608-16777215 202', 'PATCH 16777216-25165823 202', 'PUT - 201'],
  },
  { name: 'gar', parts: ['PUT - 201'] },
] as const) {
  test(`${name}: the parts after a cut are such as it takes, one after the other`, async (t) => {
    const scene = await profileScene(t, name)
    scene.registry.fail({ withBody: true }, { kind: 'cut-request', afterBytes: 17 * MIB })
    await pushed(scene, 24 * MIB)
    assert.deepEqual(scene.uploads().slice(1), parts)
  })
}

// registries.md 20.5 (3, 4).
test('quay: a part that breaks off goes again behind the acknowledged ones, nothing begins anew in a live session', async (t) => {
  const scene = await profileScene(t, 'quay')
  scene.registry.fail({ withBody: true }, { kind: 'cut-request', afterBytes: 17 * MIB })
  scene.registry.fail({ withBody: true, nth: 3 }, { kind: 'cut-request', afterBytes: 3 * MIB })
  await pushed(scene, 24 * MIB)
  assert.deepEqual(scene.uploads(), [
    'PATCH - cut',
    'PATCH 0-8388607 202',
    'PATCH 8388608-16777215 cut',
    'PATCH 8388608-16777215 202',
    'PATCH 16777216-25165823 202',
    'PUT - 201',
  ])
  assert.equal(scene.registry.uploads.opened, 1)
})

// registries.md 20.3 (6): a commit whose answer gets lost, and which shows seconds later.
for (const asked of [1, 3, 5]) {
  test(`ghcr: a commit that broke off and shows after ${asked} looks is waited for, and nothing is sent again [assumption:ghcr:6]`, async (t) => {
    const overrides = [{ uploads: { lateCommit: asked } }]
    const client = { clock: createStepClock(), commitWaitMs: 120_000 }
    const scene = await profileScene(t, 'ghcr', { overrides, client })
    await pushed(scene, 9 * MIB)
    assert.equal(scene.sent(), 9 * MIB)
  })
}

test('ghcr: one part of more than it takes is no question of offsets, and the session stays', async (t) => {
  const scene = await profileScene(t, 'ghcr', { as: '' })
  scene.registry.fail({ withBody: true }, { kind: 'cut-request', afterBytes: 9 * MIB })
  const starts = await pushed(scene, 24 * MIB)
  assert.ok(starts.every((offset) => offset === 0 || offset === 9 * MIB))
  assert.equal(scene.registry.uploads.opened, 1)
})

test('artifactory of old refuses a PUT with bytes: the layer goes as docker sends it', async (t) => {
  const fullCommit = { status: 404, code: 'BLOB_UNKNOWN', message: 'blob unknown to registry' }
  const scene = await profileScene(t, 'artifactory', { overrides: [{ uploads: { fullCommit } }] })
  await pushed(scene, MIB)
  assert.ok(scene.uploads().includes('PATCH - 202'))
})

for (const name of ['zot', 'acr', 'gitea', 'artifactory', 'pulp'] as const) {
  test(`${name}: a small blob goes in one request`, async (t) => {
    const scene = await profileScene(t, name)
    await pushed(scene, 1000)
    await pushed(scene, 2000)
    assert.equal(scene.registry.uploads.opened, 0)
  })
}

test('cloudflare: parts are of one size, within what it says as it opens the session', async (t) => {
  const scene = await profileScene(t, 'cloudflare')
  scene.registry.fail({ withBody: true }, { kind: 'cut-request', afterBytes: 12 * MIB })
  await pushed(scene, 20 * MIB)
  assert.deepEqual(scene.uploads(), [
    'PATCH - cut',
    'PATCH 0-8388607 202',
    'PATCH 8388608-16777215 202',
    'PATCH 16777216-20971519 202',
    'PUT - 201',
  ])
})

// registries.md 20.9: front ends with a bound of their own, before any registry.
for (const [front, over] of [
  ['a front end of Cloudflare', CLOUDFLARE_FRONT(6 * MIB)],
  ['an nginx that answers before it has read the body', NGINX_1M],
] as const) {
  for (const name of ['dist28', 'dist3', 'harbor', 'gitea', 'zot'] as const) {
    test(`${front} before ${name}: smaller bodies get through`, async (t) => {
      const scene = await profileScene(t, name, { overrides: [over] })
      await pushed(scene, 9 * MIB)
      const before = scene.registry.requests.length
      await pushed(scene, 7 * MIB)
      const refused = scene.uploads(before).filter((line) => line.endsWith('413'))
      assert.deepEqual(refused, [], 'what it takes is known by now')
    })
  }
}

test('gar: nothing but whole layers gets behind a front end that takes small bodies, and the refusal says so', async (t) => {
  const scene = await profileScene(t, 'gar', { overrides: [CLOUDFLARE_FRONT(6 * MIB)] })
  await assert.rejects(pushed(scene, 9 * MIB), (error: AppError) => {
    assert.deepEqual([error.code, error.retry], ['REGISTRY_REJECTED', 'permanent'])
    return true
  })
})

for (const name of PROFILE_NAMES) {
  test(`${name}: a push that is stopped leaves no session behind`, async (t) => {
    const scene = await profileScene(t, name)
    const stop = new AbortController()
    const blob = testBlob(LARGE.subarray(0, 10 * MIB))
    const target = await scene.repository()
    const push = target.push(blob.descriptor, blob.open, {
      signal: stop.signal,
      onEvent: (event) => void (event.type === 'bytes' && event.offset > 4 * MIB && stop.abort()),
    })
    await assert.rejects(push)
    await target.releasePush()
    assert.deepEqual(scene.registry.sessions(), [])
  })
}
