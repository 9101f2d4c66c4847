import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { rawManifest } from '../../src/content/manifest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { parseReference } from '../../src/content/reference.ts'
import { bufferOpener } from '../../src/content/streams.ts'
import type { JobOptions } from '../../src/jobs/model/job-options.ts'
import { referrersTag } from '../../src/oci/manifests/referrers.ts'
import type { Repository } from '../../src/oci/registry.ts'
import { planRetention, retain, type RetentionRequest } from '../../src/transfer/delete/retention.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { deleting, goneIn } from '../helpers/packages/deleting.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'

const { signal } = new AbortController()
const EMPTY = Buffer.from('{}')
const CONFIG = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(EMPTY), size: 2 }
const DAY = 86_400_000
const daysAgo = (days: number) => new Date(Date.now() - days * DAY).toISOString()

/** An index of one manifest that was made then, unlike any other. */
async function put(repository: Repository, tag: string, created?: string): Promise<void> {
  await repository.push(CONFIG, bufferOpener(EMPTY), { signal })
  const annotations = { of: tag, ...(created === undefined ? {} : { 'org.opencontainers.image.created': created }) }
  const body = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: CONFIG, layers: [CONFIG], annotations }
  const manifest = rawManifest(OCI_MANIFEST, Buffer.from(JSON.stringify(body)))
  await repository.putManifest(manifest.digest, manifest, { signal })
  const entry = { mediaType: OCI_MANIFEST, digest: manifest.digest, size: manifest.bytes.length }
  const index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [{ ...entry, platform: { architecture: 'amd64', os: 'multi' } }],
  }
  await repository.putManifest(tag, rawManifest(OCI_INDEX, Buffer.from(JSON.stringify(index))), { signal })
}

type Choices = Partial<Omit<RetentionRequest, 'reference'>> & { dryRun?: boolean }
async function run(t: Cleanup, repository: Repository, { dryRun = false, ...choices }: Choices) {
  const { dependencies, told } = deleting(t, {})
  const reference = parseReference(`oci://${repository.registry}/${repository.repository}`)
  const request = { reference, rules: [], untagged: false, force: false, ...choices }
  const outcome = await (dryRun ? planRetention : retain)(request, dependencies)
  return { outcome, told, tags: (await repository.tags({ signal })).toSorted((a, b) => (a < b ? -1 : 1)) }
}

for (const program of registryPrograms()) {
  describe(`retention at ${program}`, () => {
    test('the newest by version stay; a dry run lists exactly what goes; a second run finds nothing', async (t) => {
      const { host } = await startDockerRegistry(t, { program })
      const repository = await openRepository(t, host, { repository: 'team/nemo' })
      for (const tag of ['1.9.0', '1.10.0', '1.2.0', '1.10.0-rc.1', 'latest', '2.0.0']) await put(repository, tag)
      const rules = [{ tags: ['1.*', 'latest'], keepNewest: 2 }]
      const planned = await run(t, repository, { rules, dryRun: true })
      assert.equal(planned.tags.length, 6)
      const done = await run(t, repository, { rules })
      assert.deepEqual(done.tags, ['1.10.0', '1.10.0-rc.1', '2.0.0', 'latest'])
      assert.deepEqual(goneIn(done.outcome), goneIn(planned.outcome))
      assert.equal(done.outcome.removed.filter(({ kind }) => kind === 'manifest').length, 4)
      assert.equal(done.told.length, done.outcome.removed.length)
      const why = new Map(done.outcome.kept.map(({ tag, why: text }) => [tag, text]))
      assert.match(why.get('latest') ?? '', /no version/)
      assert.match(why.get('1.10.0') ?? '', /newest 2 by version/)
      assert.deepEqual(goneIn((await run(t, repository, { rules })).outcome), [])
    })

    test('by age: what was made long ago goes, and what nothing dates stays', async (t) => {
      const { host } = await startDockerRegistry(t, { program })
      const repository = await openRepository(t, host, { repository: 'team/nemo' })
      await put(repository, 'nightly-old', daysAgo(40))
      await put(repository, 'nightly-new', daysAgo(2))
      await put(repository, 'nightly-zero', '0001-01-01T00:00:00Z')
      await put(repository, 'stable', daysAgo(400))
      const done = await run(t, repository, { rules: [{ tags: ['*'], except: ['stable'], olderThanDays: 30 }] })
      assert.deepEqual(done.tags, ['nightly-new', 'nightly-zero', 'stable'])
    })

    test('where no tag would be left it wants to be forced, and a dry run says so', async (t) => {
      const { host } = await startDockerRegistry(t, { program })
      const repository = await openRepository(t, host, { repository: 'team/nemo' })
      for (const tag of ['1.0.0', '1.1.0']) await put(repository, tag)
      const rules = [{ tags: ['1.*'] }]
      await assert.rejects(run(t, repository, { rules }), { code: 'RETENTION_MATCHES_ALL' })
      const planned = await run(t, repository, { rules, dryRun: true })
      assert.deepEqual(
        planned.outcome.problems.map(({ code }) => code),
        ['RETENTION_MATCHES_ALL'],
      )
      assert.equal(planned.tags.length, 2)
      assert.deepEqual((await run(t, repository, { rules, force: true })).tags, [])
    })

    test('what clients keep for a manifest that is gone goes when that is asked for', async (t) => {
      const { host } = await startDockerRegistry(t, { program })
      const repository = await openRepository(t, host, { repository: 'team/nemo' })
      await put(repository, '1.0.0')
      const orphan = `${referrersTag(digestOf(Buffer.from('gone')))}.sig`
      await put(repository, orphan)
      const index = await repository.getManifest('1.0.0', { signal })
      assert.ok(index)
      const kept = referrersTag(index.digest)
      await put(repository, kept)
      const rules = [{ tags: ['nothing-*'] }]
      assert.equal((await run(t, repository, { rules })).tags.length, 3)
      const done = await run(t, repository, { rules, untagged: true })
      assert.deepEqual(
        done.tags,
        ['1.0.0', kept].toSorted((a, b) => (a < b ? -1 : 1)),
      )
      assert.ok(goneIn(done.outcome).includes(`tag ${orphan}`))
    })
  })
}

test('a job of the kind retention tells what went, what stayed and why', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const repository = await openRepository(t, registry.host, { repository: 'team/nemo' })
  for (const tag of ['1.0.0', '1.1.0', '1.2.0']) await put(repository, tag)
  const system = await startJobSystem(t, { roots: [] })
  await system.worker('one')
  const options: JobOptions = { retention: { rules: [{ tags: ['1.*'], keepNewest: 1 }] } }
  const source = `oci://${registry.host}/team/nemo`
  const dry = await system.ended((await system.retain(source, { ...options, dryRun: true })).id)
  const job = await system.ended((await system.retain(source, options)).id)
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  const { removal } = job.result ?? {}
  assert.deepEqual(dry.result?.removal, { ...removal, dryRun: true })
  assert.deepEqual(
    removal?.removed.flatMap(({ tag }) => tag ?? []),
    ['1.0.0', '1.1.0'],
  )
  assert.deepEqual(
    removal?.kept.map(({ tag }) => tag),
    ['1.2.0'],
  )
  assert.equal(removal?.more, 0)
  assert.deepEqual(await repository.tags({ signal }), ['1.2.0'])
  await system.assertNothingLeft()
})

test('at most 500 tags go in one job, and it says how many more would', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const repository = await openRepository(t, registry.host, { repository: 'team/nemo' })
  await put(repository, 'keep')
  const raw = await repository.getManifest('keep', { signal })
  for (let at = 0; at < 520; at += 1) registry.manifests.put('team/nemo', `n-${at}`, OCI_INDEX, raw?.bytes ?? EMPTY)
  const first = await run(t, repository, { rules: [{ tags: ['n-*'] }] })
  assert.deepEqual([first.outcome.removed.length, first.outcome.more, first.tags.length], [500, 20, 21])
  assert.deepEqual((await run(t, repository, { rules: [{ tags: ['n-*'] }] })).tags, ['keep'])
})
