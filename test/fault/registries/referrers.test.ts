import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../../src/content/digest.ts'
import { rawManifest } from '../../../src/content/manifest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import { addReferrer } from '../../../src/oci/manifests/referrers-tag.ts'
import { referrersTag } from '../../../src/oci/manifests/referrers.ts'
import type { Refusal } from '../../helpers/registries/kit/exchange.ts'
import { type ProfileName, PROFILE_NAMES } from '../../helpers/registries/kit/profiles.ts'
import { profileScene, REPOSITORY, type SceneOptions } from '../../helpers/registries/kit/scene.ts'
import { testBlob } from '../../helpers/registries/oci-client.ts'

const { signal } = new AbortController()
const CONFIG = testBlob(Buffer.from('{}\n'))
const bodyOf = (more: object) =>
  rawManifest(OCI_MANIFEST, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, ...more })))
const SUBJECT = bodyOf({ config: CONFIG.descriptor, layers: [] })
const subject = { mediaType: OCI_MANIFEST, digest: SUBJECT.digest, size: SUBJECT.bytes.length }
const SIGNATURE = bodyOf({ artifactType: 'application/vnd.test.sig', config: CONFIG.descriptor, layers: [], subject })

/** A manifest, and one that refers to it; what the second was answered with. */
async function signed(t: TestContext, name: ProfileName, options: SceneOptions = {}) {
  const scene = await profileScene(t, name, options)
  const repository = await scene.repository()
  await repository.push(CONFIG.descriptor, CONFIG.open, { signal })
  for (const manifest of [SUBJECT, SIGNATURE]) await repository.putManifest(manifest.digest, manifest, { signal })
  const { mediaType, digest, bytes } = SIGNATURE
  const entry = { mediaType, digest, size: bytes.length, artifactType: 'application/vnd.test.sig' }
  return { ...scene, repository, entry, tag: referrersTag(SUBJECT.digest) }
}

const NOT_FOUND: Refusal = { status: 404, style: 'text', message: '404 page not found\n' }

// registries.md 20.2 (12): ECR of before 2024.
test('referrers.subject-header-lies: a registry that tells OCI-Subject and keeps no list is read by the tag', async (t) => {
  const overrides = [{ manifests: { referrers: NOT_FOUND, subjectHeader: true } }]
  const { repository, entry } = await signed(t, 'ecr', { overrides })
  await addReferrer({ repository, subject: SUBJECT.digest, entry, signal, guard: async () => undefined })
  const found = await repository.referrers(SUBJECT.digest, { signal })
  assert.deepEqual([found.from, found.referrers.map(({ digest }) => digest)], ['tag', [SIGNATURE.digest]])
})

// registries.md 9: Quay.
test('referrers.api-without-header: a registry that tells no OCI-Subject and keeps the list is believed', async (t) => {
  const { repository } = await signed(t, 'quay')
  const found = await repository.referrers(SUBJECT.digest, { signal })
  assert.deepEqual([found.from, found.referrers.map(({ digest }) => digest)], ['api', [SIGNATURE.digest]])
})

// registries.md 20.3 (8).
test('referrers.303-offsite: a registry that sends elsewhere keeps no list, and nobody follows [assumption:ghcr:8]', async (t) => {
  const location = { location: 'https://elsewhere.example/page' }
  const overrides = [{ manifests: { referrers: { status: 303, headers: location } } }]
  const { repository } = await signed(t, 'ghcr', { overrides })
  assert.deepEqual(await repository.referrers(SUBJECT.digest, { signal }), { referrers: [], from: 'tag' })
})

test('referrers.fallback.lost-update: an entry that another client dropped right after ours is put back, beside its own', async (t) => {
  const { registry, repository, entry, tag } = await signed(t, 'ghcr')
  const foreign = { ...entry, digest: digestOf('{}'), size: 2 }
  const list = (...manifests: object[]) =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  registry.manifests.put(REPOSITORY, foreign.digest, OCI_MANIFEST, Buffer.from('{}'))
  let reads = 0
  const meddled = new Proxy(repository, {
    get(target, name) {
      if (name !== 'getManifest') return Reflect.get(target, name) as unknown
      return async (...asked: Parameters<typeof repository.getManifest>) => {
        reads += 1
        // It had read before we wrote, and writes after it.
        if (reads === 3) registry.manifests.put(REPOSITORY, tag, OCI_INDEX, list(foreign))
        return await target.getManifest(...asked)
      }
    },
  })
  await addReferrer({ repository: meddled, subject: SUBJECT.digest, entry, signal, guard: async () => undefined })
  const stored = JSON.parse(registry.manifests.get(REPOSITORY, tag)?.bytes.toString() ?? '{}') as {
    manifests: { digest: string }[]
  }
  assert.deepEqual(
    stored.manifests.map(({ digest }) => digest),
    [foreign.digest, SIGNATURE.digest],
  )
})

// registries.md 1: who keeps a list itself.
const LISTS: readonly ProfileName[] = [
  'ecr',
  'ecr-public',
  'harbor',
  'quay',
  'acr',
  'gar',
  'artifactory',
  'zot',
  'olareg',
  'cloudflare',
]
for (const name of PROFILE_NAMES) {
  test(`${name}: what refers to a manifest is told by ${LISTS.includes(name) ? 'the registry' : 'the tag'}`, async (t) => {
    const { repository } = await signed(t, name)
    const found = await repository.referrers(SUBJECT.digest, { signal })
    assert.equal(found.from, LISTS.includes(name) ? 'api' : 'tag')
    assert.equal(found.referrers.length, LISTS.includes(name) ? 1 : 0)
  })
}
