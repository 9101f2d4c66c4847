import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import type { TestContext } from 'node:test'
import { type Digest, parseDigest } from '../../../../src/content/digest.ts'
import { OCTET_STREAM } from '../../../../src/content/media-types.ts'
import { parseDestination, parseReference } from '../../../../src/content/reference.ts'
import { fixedCredentials } from '../../../../src/oci/credentials/fixed.ts'
import { toCredential } from '../../../../src/oci/credentials/secret.ts'
import type { RegistryClient } from '../../../../src/oci/registry.ts'
import { inspectPackage } from '../../../../src/transfer/inspect/overview.ts'
import type { PublishOutcome } from '../../../../src/transfer/publish/publish.ts'
import { type BuiltPackage, buildPackage, type PackageOptions } from '../../packages/package-builder.ts'
import { digestOfStream } from '../../packages/packages.ts'
import { publishTo, registryClient } from '../../packages/publishing.ts'
import { pullFrom } from '../../packages/pulling.ts'
import { tempDir } from '../../temp-dir.ts'
import type { LivePlace, LiveSizes } from './settings.ts'
import { connect, request } from '../transport.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
/** The one repository: a registry that makes none by itself has to have it. */
const NAME = 'layerd-live'

interface Scene {
  place: LivePlace
  client: RegistryClient
  /** Part of each version, so that nobody else's run has the same tags. */
  run: string
  published: PublishOutcome[]
}

/**
 * What layerd promises, at a registry that is somebody's: publish, inspect, pull, republish and a partial pull, with packages
 * of three shapes, artifact manifests where it takes them, and an end without remains. Each step is a test of its own;
 * when the first one fails the others would fail alike, and are left out.
 */
export async function liveRounds(t: TestContext, place: LivePlace, sizes: LiveSizes): Promise<void> {
  const { registry } = parseDestination(place.reference)
  const client = registryClient(t, place.login ? fixedCredentials(registry, place.login) : undefined)
  const scene: Scene = {
    place,
    client,
    run: `${Date.now().toString(36)}${randomBytes(3).toString('hex')}`,
    published: [],
  }
  let works = false
  await t.test(
    'a package goes up, is inspected and comes back, whole and in part, and is not sent twice',
    async (inner) => {
      const built = await build(inner, scene, 'regular', { layers: 4, layerBytes: [9 * MIB, 300_000, 1000, 0] })
      const outcome = await roundTrip(inner, scene, built)
      await pullInPart(inner, scene, { built, outcome })
      works = true
    },
  )
  const rest = works ? {} : { skip: 'the first package did not get through' }
  await t.test(`a package of ${sizes.layers} layers`, rest, async (inner) => {
    const options = { layers: sizes.layers, layerBytes: 2000 }
    await roundTrip(inner, scene, await build(inner, scene, 'many', options))
  })
  const large = sizes.largeMib === 0 ? { skip: 'LAYERD_LIVE_LARGE is 0' } : rest
  await t.test(`a layer of ${sizes.largeMib} MiB`, large, async (inner) => {
    const options = { layers: 1, layerBytes: sizes.largeMib * MIB, format: 'tar' } as const
    await roundTrip(inner, scene, await build(inner, scene, 'large', options))
  })
  await t.test('an artifact manifest, or an image manifest where it takes none', rest, async (inner) => {
    const built = await build(inner, scene, 'artifact', { layers: 2 })
    const outcome = await roundTrip(inner, scene, built, 'auto')
    inner.diagnostic(`${registry} got an ${outcome.manifest} manifest`)
  })
  await t.test('nothing stays behind', (inner) => cleanUp(inner, scene))
}

function build(t: TestContext, { run }: Scene, shape: string, options: PackageOptions): Promise<BuiltPackage> {
  return tempDir(t).then((folder) =>
    buildPackage(folder, {
      name: NAME,
      version: `0.0.1-${run}-${shape}`,
      seed: randomInt(1, 2 ** 40),
      // So that a part of them can be pulled.
      tamper: { definition: (text) => text.replaceAll('required: true', 'required: false') },
      ...options,
    }),
  )
}

async function roundTrip(
  t: TestContext,
  scene: Scene,
  built: BuiltPackage,
  manifest?: 'auto',
): Promise<PublishOutcome> {
  const { client, published } = scene
  const destination = parseDestination(scene.place.reference)
  const options = { client, ...(manifest ? { manifest } : {}) }
  const { outcome } = await publishTo(t, built.path, destination, options)
  published.push(outcome)

  const reference = parseReference(outcome.reference)
  const repository = await client.repository(reference.registry, reference.repository)
  const inspected = await inspectPackage({ reference, architecture: 'amd64' }, { repository, signal })
  assert.equal(inspected.digest, outcome.digest)

  const pulled = await pullFrom(t, outcome.reference, { client, architecture: 'amd64' })
  assert.equal(pulled.outcome.digest, outcome.digest)
  for (const { digest: text, size, path } of built.files) {
    const digest = parseDigest(text)
    const stored = await pulled.store.open({ mediaType: OCTET_STREAM, digest, size }, { signal })
    assert.equal((await digestOfStream(stored)).digest, digest, path)
  }

  const again = await publishTo(t, built.path, destination, options)
  assert.deepEqual([again.outcome.digest, again.outcome.indexDigest], [outcome.digest, outcome.indexDigest])
  assert.equal(again.events.filter(({ type }) => type === 'complete').length, 0, 'layers were sent a second time')
  return outcome
}

async function pullInPart(
  t: TestContext,
  { client }: Scene,
  { built, outcome }: { built: BuiltPackage; outcome: PublishOutcome },
): Promise<void> {
  const components = ['layer-0002']
  const { store } = await pullFrom(t, outcome.reference, { client, architecture: 'amd64', components })
  for (const [path, wanted] of [
    ['components/layer-0002.tar', true],
    ['components/layer-0000.tar', false],
  ] as const) {
    const file = built.files.find((one) => one.path === path) ?? assert.fail(path)
    const found = { mediaType: OCTET_STREAM, digest: parseDigest(file.digest), size: file.size }
    assert.equal((await store.missing([found])).length === 0, wanted, path)
  }
}

/** Deletes what was published, by digest; skipped, with what stays, where the registry has another way for that. */
async function cleanUp(t: TestContext, { place, published }: Scene): Promise<void> {
  const left: string[] = []
  for (const { reference, digest, indexDigest } of published) {
    for (const one of [indexDigest, digest]) {
      const status = await remove(t, place, { reference, digest: one })
      if (status !== 202 && status !== 200 && status !== 204 && status !== 404) left.push(`${reference} (${status})`)
    }
  }
  if (left.length > 0) t.skip(`delete it by hand: ${[...new Set(left)].join(', ')}`)
}

async function remove(
  t: TestContext,
  { login }: LivePlace,
  { reference, digest }: { reference: string; digest: Digest },
): Promise<number> {
  const { registry, repository } = parseReference(reference)
  const credential = login && toCredential(login)
  const transport = connect(t).transport(registry, { credential, plainHttp: false })
  const scopes = [{ repository, actions: ['pull', 'delete'] }] as const
  const target = `/v2/${repository}/manifests/${digest}`
  try {
    const answer = await transport.send(request(target, { method: 'DELETE', op: 'delete manifest', scopes }))
    await answer.discard()
    return answer.status
  } catch (error) {
    return (error as { upstream?: { status?: number } }).upstream?.status ?? 0
  }
}
