import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { rawManifest } from '../../../src/content/manifest.ts'
import { OCI_MANIFEST } from '../../../src/content/media-types.ts'
import { parseDestination } from '../../../src/content/reference.ts'
import type { AppError } from '../../../src/lib/errors.ts'
import { CleanupStack } from '../../helpers/cleanup.ts'
import { type BuiltPackage, buildPackage } from '../../helpers/packages/package-builder.ts'
import { publishTo, type PublishToOptions } from '../../helpers/packages/publishing.ts'
import { immutable, type ProfileName, PROFILE_NAMES } from '../../helpers/registries/kit/profiles.ts'
import {
  NAMESPACE,
  type ProfileScene,
  profileScene,
  REPOSITORY,
  type SceneOptions,
} from '../../helpers/registries/kit/scene.ts'
import { someBytes, testBlob } from '../../helpers/registries/oci-client.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const { signal } = new AbortController()
const stack = new CleanupStack()
let first: BuiltPackage
let second: BuiltPackage
before(async () => {
  const folder = await tempDir(stack, 'manifests')
  first = await buildPackage(folder, { format: 'tar', layers: 1 })
  second = await buildPackage(await tempDir(stack, 'manifests'), { format: 'tar', layers: 1, seed: 2 })
})
after(async () => stack[Symbol.asyncDispose]())

async function bed(t: TestContext, name: ProfileName, options: SceneOptions = {}) {
  const scene = await profileScene(t, name, options)
  const destination = parseDestination(`${scene.registry.host}/${NAMESPACE}`)
  const publish = ({ path }: BuiltPackage, more: PublishToOptions = {}) =>
    publishTo(t, path, destination, { client: scene.client, ...more })
  return { ...scene, publish }
}

const failsAs = (code: string, says: RegExp) => (error: AppError) => {
  assert.deepEqual([error.code, error.retry], [code, 'permanent'], error.stack)
  assert.match(`${error.message} ${error.hint}`, says)
  return true
}

const requestsOf = ({ registry }: ProfileScene, method: string, path: RegExp) =>
  registry.requests.filter((request) => request.method === method && path.test(request.path))

// registries.md 20.1 (8), 20.2 (10), 20.4 (6), 20.5 (7), 20.7 (5); oci-client.md M6, M7.
for (const name of ['dockerhub', 'ecr', 'harbor', 'quay', 'gar'] as const) {
  const overrides = [immutable(name)]
  test(`${name}: a package that is there already is no failure where tags can't change`, async (t) => {
    const { publish, ...scene } = await bed(t, name, { overrides })
    const { outcome } = await publish(first)
    assert.deepEqual((await publish(first)).outcome, outcome)
    assert.equal(requestsOf(scene, 'PUT', /\/manifests\/1\.0\.0$/).length, 1, 'the tag is written once')
  })

  test(`${name}: another package under a tag that can't change is refused as that`, async (t) => {
    const { publish, registry } = await bed(t, name, { overrides })
    await publish(first)
    const before = registry.manifests.get(REPOSITORY, '1.0.0')
    await assert.rejects(publish(second), failsAs('TAG_IMMUTABLE', /options\.tag/))
    assert.deepEqual(registry.manifests.get(REPOSITORY, '1.0.0'), before)
  })
}

// registries.md 20.2 (2), 20.7 (2), 16, 12, 13.
for (const [name, code] of [
  ['ecr', 'REGISTRY_NAME_UNKNOWN'],
  ['ecr-public', 'REGISTRY_NAME_UNKNOWN'],
  ['gar', 'REGISTRY_NAME_UNKNOWN'],
  ['gitea', 'REGISTRY_NAME_UNKNOWN'],
  ['forgejo', 'REGISTRY_NAME_UNKNOWN'],
  ['artifactory', 'REGISTRY_NAME_UNKNOWN'],
  ['gitlab', 'REGISTRY_NAME_UNKNOWN'],
  ['harbor', 'REGISTRY_UNAUTHORIZED'],
] as const) {
  test(`${name}: what has to be made before a push is told before a byte moves`, async (t) => {
    const { publish, sent } = await bed(t, name, { names: ['elsewhere'] })
    await assert.rejects(publish(first), failsAs(code, /made|exist/))
    assert.equal(sent(), 0)
  })
}

test('ecr: a registry that closes the connection on a push to what is not there ends with that [assumption:ecr:2]', async (t) => {
  const { publish, registry, sent } = await bed(t, 'ecr')
  registry.fail({ method: 'POST', times: 1000 }, { kind: 'lose-answer' })
  await assert.rejects(publish(first), { code: 'REGISTRY_CONNECTION_LOST' })
  assert.equal(sent(), 0)
})

// registries.md 20.4 (6).
test('harbor: a quota that is used up is told as one', async (t) => {
  const { publish, registry } = await bed(t, 'harbor')
  const message =
    'adding 4.0 KiB of storage resource, which when updated to current usage will exceed the configured upper limit of 1.0 MiB.'
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message }] })
  registry.fail({ method: 'PUT', times: 1000 }, { kind: 'answer', status: 403, body })
  await assert.rejects(publish(first), failsAs('REGISTRY_DENIED', /quota/))
})

// registries.md 1, 22: who takes artifact manifests, and how the others say that they do not.
for (const name of PROFILE_NAMES) {
  const takes = name === 'acr'
  test(`${name}: ${takes ? 'takes an artifact manifest' : 'gets an image manifest in place of an artifact manifest'}`, async (t) => {
    const { publish } = await bed(t, name)
    const { outcome } = await publish(first, { manifest: 'auto' })
    assert.equal(outcome.manifest, takes ? 'artifact' : 'image')
  })
}

// registries.md 20.2 (9), 20.5 (7), 15: in which way each says that a blob is missing.
for (const name of ['ecr', 'ghcr', 'dist28', 'dist3', 'acr', 'gitea', 'dockerhub', 'quay'] as const) {
  const assumed = name === 'ecr' ? ' [assumption:ecr:9]' : ''
  test(`${name}: a layer that got lost before the manifest came is sent once more${assumed}`, async (t) => {
    const { publish, registry } = await bed(t, name)
    let lost = false
    await publish(first, {
      onEvent(event) {
        if (event.type !== 'phase' || event.phase !== 'committing' || lost) return
        lost = true
        for (const { digest } of first.files.slice(0, 1))
          registry.deleteBlob(REPOSITORY, `sha256:${digest.replace(/^sha256:/, '')}`)
      },
    })
    assert.ok(lost)
    assert.ok(registry.manifests.get(REPOSITORY, '1.0.0'))
  })
}

// registries.md 3, 10, 13, 16 (Tags).
for (const name of PROFILE_NAMES) {
  test(`${name}: lists all tags of a repository, and none of one without`, async (t) => {
    const { registry, repository } = await profileScene(t, name)
    const target = await repository()
    assert.deepEqual(await target.tags({ signal }), [])
    const names = Array.from({ length: 1003 }, (_, at) => `v${at}`)
    for (const tag of names) registry.manifests.put(REPOSITORY, tag, OCI_MANIFEST, Buffer.from('{}'))
    assert.deepEqual([...(await target.tags({ signal }))].toSorted(), names.toSorted())
  })
}

// registries.md 20.8 (6): a Location that leads elsewhere, an ETag that is no digest.
for (const name of ['artifactory', 'gitea'] as const) {
  test(`${name}: what a manifest's answer says beside its digest does not count`, async (t) => {
    const { repository } = await profileScene(t, name)
    const target = await repository()
    const config = testBlob(Buffer.from('{}\n'))
    await target.push(config.descriptor, config.open, { signal })
    const layer = testBlob(someBytes(1000))
    await target.push(layer.descriptor, layer.open, { signal })
    const body = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: config.descriptor, layers: [layer.descriptor] }
    const manifest = rawManifest(OCI_MANIFEST, Buffer.from(JSON.stringify(body)))
    await target.putManifest('v1', manifest, { signal })
    assert.deepEqual(await target.getManifest('v1', { signal }), manifest)
  })
}

// registries.md 20.1 (7): manifests that are fetched count, those that are looked for do not.
test('dockerhub: publishing again fetches no more manifests than it must', async (t) => {
  const { publish, ...scene } = await bed(t, 'dockerhub')
  await publish(first)
  const before = requestsOf(scene, 'GET', /\/manifests\//).length
  await publish(first)
  const fetched = requestsOf(scene, 'GET', /\/manifests\//).length - before
  assert.ok(fetched <= 2, `${fetched} manifests`)
})
