import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLOUDFLARE_FRONT, NGINX_1M, type ProfileName, PROFILE_NAMES } from '../helpers/registries/kit/profiles.ts'
import { profileScene, REPOSITORY } from '../helpers/registries/kit/scene.ts'
import type { Overrides } from '../helpers/registries/kit/ways.ts'
import { memorySessions, someBytes, testBlob } from '../helpers/registries/oci-client.ts'

const MIB = 1024 * 1024
const SIZE = 20 * MIB
const { signal } = new AbortController()
const BLOB = testBlob(someBytes(SIZE))
const POINTS = [0, 1, 65_536, MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, SIZE - 1, SIZE]

/** Pushes through the cuts: the n-th body breaks off after so many bytes. */
async function pushed(
  t: Parameters<typeof profileScene>[0],
  name: ProfileName,
  cuts: readonly number[],
  overrides: readonly Overrides[] = [],
) {
  const scene = await profileScene(t, name, { overrides, client: { sessions: memorySessions() } })
  for (const [at, afterBytes] of cuts.entries()) {
    scene.registry.fail({ withBody: true, nth: at + 1 }, { kind: 'cut-request', afterBytes })
  }
  const target = await scene.repository()
  await target.push(BLOB.descriptor, BLOB.open, { signal })
  await target.releasePush()
  assert.ok(
    scene.registry.blob(REPOSITORY, BLOB.descriptor.digest)?.equals(BLOB.bytes),
    `${name} cut at ${cuts.join()}`,
  )
  assert.deepEqual(scene.registry.sessions(), [], `${name} cut at ${cuts.join()}`)
  return scene
}

for (const name of PROFILE_NAMES) {
  test(`${name}: a layer whose request breaks off at any point arrives whole, and no session is left`, async (t) => {
    for (const point of POINTS) {
      const { sent } = await pushed(t, name, [point])
      assert.ok(sent() <= 2 * SIZE, `${sent()} bytes for a cut at ${point}`)
    }
  })

  test(`${name}: so does one whose parts break off again and again`, async (t) => {
    for (const cuts of [
      [17 * MIB, 3 * MIB, 3 * MIB],
      [12 * MIB, 1, 8 * MIB],
      [MIB, MIB, MIB],
    ]) {
      await pushed(t, name, cuts)
    }
  })
}

// registries.md 20.9. GAR takes whole layers alone.
for (const [front, over] of [
  ['a front end of Cloudflare', CLOUDFLARE_FRONT(6 * MIB)],
  ['an nginx with its own bound', NGINX_1M],
] as const) {
  for (const name of PROFILE_NAMES.filter((name) => !['gar', 'ecr', 'ecr-public', 'cloudflare'].includes(name))) {
    test(`${front} before ${name}: a layer arrives whole`, async (t) => {
      await pushed(t, name, [], [over])
    })
  }
}
