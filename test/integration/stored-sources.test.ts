import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Digest, digestOf } from '../../src/content/digest.ts'
import { OCI_ARTIFACT_MANIFEST, OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import type { Problem } from '../../src/http/schemas/types.ts'
import type { NewJob } from '../../src/jobs/model/requests.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, packageFiles, pullFrom, putPackage } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { post } from '../helpers/streams/http-jobs.ts'
import { someBytes } from '../helpers/registries/oci-client.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { waitFor } from '../helpers/wait-for.ts'

const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const
const NEMO_DIGEST = digestOf(publishedManifest('nemo'))

async function bed(t: TestContext) {
  const [from, there] = [await startMemoryRegistry(), await startMemoryRegistry({ artifactManifests: true })]
  t.after(() => Promise.all([from.close(), there.close()]))
  const system = await startJobSystem(t, { roots: [] })
  await system.worker('one')
  const pull = async (reference: string, more: Partial<NewJob> = {}) => {
    const job = await system.ended((await system.pull(`oci://${from.host}/${reference}`, more)).id)
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    return job
  }
  const publish = async (digest: string, to: MemoryRegistry = there, more: Partial<NewJob> = {}) => {
    const { id } = await system.publish('', `oci://${to.host}/copies`, { source: `store:${digest}`, ...more })
    return await system.ended(id)
  }
  return { from, there, system, pull, publish }
}

/** A manifest as this registry gives it by digest. */
async function manifestOf(registry: MemoryRegistry, repository: string, digest: string): Promise<string> {
  const accept = [OCI_MANIFEST, OCI_ARTIFACT_MANIFEST, OCI_INDEX].join(', ')
  const answer = await fetch(`${registry.url}/v2/${repository}/manifests/${digest}`, { headers: { accept } })
  return await answer.text()
}

test('what was pulled is published under the digest that it had, also where it was to go once pulled', async (t) => {
  const { from, there, system, pull, publish } = await bed(t)
  await fillRegistry(from, { repository: 'team/nemo', tag: '1.2.0' }, [
    NEMO,
    { ...NEMO, path: FIXTURES.nemoArm64, architecture: 'arm64' },
  ])
  for (const architecture of ['amd64', 'arm64']) {
    const { result } = await pull('team/nemo:1.2.0', { options: { architecture, transient: architecture === 'arm64' } })
    const job = await publish(result?.digest ?? '')
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    assert.equal(job.result?.digest, digestOf(publishedManifest('nemo', architecture)))
    assertStreamInvariants(await system.log(job.id))
  }
  assert.equal(await manifestOf(there, 'copies/nemo', '1.2.0'), publishedIndex('nemo').toString())
  await system.assertNothingLeft(there)
})

test('a manifest that no zarf wrote goes out as it came, byte for byte', async (t) => {
  const { from, there, pull, publish } = await bed(t)
  const layers = packageFiles({ 'components/one.tar': someBytes(5000) })
  const digest = putPackage(from, { repository: 'team/sample', tag: '1' }, layers)
  const original = await manifestOf(from, 'team/sample', digest)
  await pull('team/sample:1', { options: { architecture: 'amd64' } })
  const job = await publish(digest, there, { options: { tag: 'x' } })
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  assert.equal(job.result?.digest, digest)
  assert.equal(await manifestOf(there, 'copies/sample', digest), original)
})

test('an artifact manifest stays one, and is made an image manifest where the job says so', async (t) => {
  const { from, there, pull, publish } = await bed(t)
  const files = packageFiles({ 'components/one.tar': someBytes(5000) })
  const blobs = files.map(({ title, bytes }) => {
    from.putBlob('team/sample', bytes)
    const annotations = { 'org.opencontainers.image.title': title }
    return { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: bytes.length, annotations }
  })
  const manifest = Buffer.from(JSON.stringify({ mediaType: OCI_ARTIFACT_MANIFEST, artifactType: 'a/b', blobs }))
  from.manifests.put('team/sample', '1', OCI_ARTIFACT_MANIFEST, manifest)
  await pull('team/sample:1', { options: { architecture: 'amd64' } })
  const same = await publish(digestOf(manifest), there, { options: { tag: 'x' } })
  assert.equal(same.state, 'succeeded', JSON.stringify(same.error))
  assert.equal(same.result?.digest, digestOf(manifest))
  assert.equal(await manifestOf(there, 'copies/sample', digestOf(manifest)), manifest.toString())
  const made = await publish(digestOf(manifest), there, { options: { tag: 'y', manifest: 'image' } })
  assert.equal(made.result?.manifest, 'image', JSON.stringify(made.error))
  const image = JSON.parse(await manifestOf(there, 'copies/sample', made.result?.digest ?? '')) as Record<
    string,
    unknown
  >
  assert.equal(image['mediaType'], OCI_MANIFEST)
})

test('in the registry that it came from its layers are linked, not sent', async (t) => {
  const { from, system, pull, publish } = await bed(t)
  await fillRegistry(from, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  await pull('team/nemo:1.2.0', { options: { architecture: 'amd64' } })
  const job = await publish(NEMO_DIGEST, from)
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  await system.assertNothingLeft(from)
  const rows = (await system.log(job.id)).flatMap((event) => (event.type === 'transfer' ? event.transfers : []))
  assert.ok(
    rows.some(({ state }) => state === 'mounted'),
    JSON.stringify(rows.map(({ state }) => state)),
  )
})

test('a package that is deleted while it is published goes out whole', async (t) => {
  const { from, there, system, pull } = await bed(t)
  await fillRegistry(from, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  await pull('team/nemo:1.2.0', { options: { architecture: 'amd64' } })
  const { promise, resolve } = Promise.withResolvers<void>()
  there.fail({ method: 'POST' }, { kind: 'hold', until: promise })
  const { id } = await system.publish('', `oci://${there.host}/copies`, { source: `store:${NEMO_DIGEST}` })
  await waitFor('the first upload', () => there.requests.some(({ method }) => method === 'POST'))
  assert.equal(await system.store.packages.delete(NEMO_DIGEST), true)
  resolve()
  const job = await system.ended(id)
  assert.deepEqual([job.state, job.result?.digest], ['succeeded', NEMO_DIGEST], JSON.stringify(job.error))
  const again = await system.publish('', `oci://${there.host}/copies`, { source: `store:${NEMO_DIGEST}` })
  assert.equal((await system.ended(again.id)).error?.code, 'PACKAGE_NOT_STORED')
})

test('a package that lacks components, or is not there, is refused before a job is made', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [NEMO])
  const server = await startApp(t)
  const { store } = server
  const reference = `${registry.host}/team/nemo:1.2.0`
  const ask = async (digest: string): Promise<Problem> =>
    (await post(server, { kind: 'publish', source: `store:${digest}`, destination: 'oci://registry.example/x' })).json()
  assert.equal((await ask(NEMO_DIGEST)).code, 'PACKAGE_NOT_STORED')
  assert.equal((await ask('latest')).code, 'REFERENCE_INVALID')

  await pullFrom(t, reference, { store, architecture: 'amd64', components: ['-*'] })
  // Others may have brought the rest: it is not this package's for that.
  const layers = JSON.parse(publishedManifest('nemo').toString()) as { layers: Array<{ digest: Digest; size: number }> }
  const refused = await ask(NEMO_DIGEST)
  assert.deepEqual([refused.status, refused.code, refused.errors?.[0]?.pointer], [409, 'PACKAGE_INCOMPLETE', '/source'])
  const { missing } = refused.details as { missing: string[] }
  assert.ok(missing.length > 0 && missing.length < layers.layers.length, missing.join())
  assert.ok(
    missing.every((title) => /^(components|images)\//.test(title)),
    missing.join(),
  )

  await pullFrom(t, reference, { store, architecture: 'amd64' })
  const accepted = await post(server, {
    kind: 'publish',
    source: `store:${NEMO_DIGEST}`,
    destination: 'oci://registry.example/x',
  })
  assert.equal(accepted.statusCode, 202, accepted.body)
})
