import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCatalogueRecords } from '../../src/jobs/catalogue/catalogue.ts'
import { tellingCatalogue } from '../../src/worker/kinds/tell-catalogue.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import type { RunContext } from '../../src/worker/run-job.ts'
import { putArtifact, startCatalogue } from '../helpers/catalogue/catalogue-bed.ts'
import { defer } from '../helpers/cleanup.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { waitFor } from '../helpers/wait-for.ts'

const NAMES = Array.from({ length: 40 }, (_, at) => `team/app-${`${at}`.padStart(2, '0')}`)

test('several processes look at a registry once, and what one leaves behind the next one goes on with', async (t) => {
  const registry = await startDockerRegistry(t)
  const { host } = registry
  for (const repository of NAMES) await putArtifact(t, { host, repository, tag: '1.0.0' })
  const bed = await startCatalogue(t)
  await bed.add(host)
  // Slow enough to be stopped on its way.
  const first = bed.refresher({ limits: { requestsPerSecond: 40, tags: 1000 } })
  const half = await waitFor('some of it', async () => {
    const state = await bed.registry(host)
    return state.repositoryCount >= 3 ? state : undefined
  })
  assert.equal(half.state, 'refreshing')
  await first.stop()
  const left = await bed.registry(host)
  assert.ok(left.waiting > 0 && left.repositoryCount < NAMES.length, JSON.stringify(left))
  const before = registry.logs().length
  bed.refresher()
  bed.refresher()
  bed.refresher()
  const state = await bed.refreshed(host)
  assert.deepEqual([state.state, state.repositoryCount, state.startedAt], ['ready', NAMES.length, left.startedAt])
  const asked = registry.logs().slice(before)
  assert.doesNotMatch(asked, /_catalog/)
  const lists = asked.match(/"GET \/v2\/team\/app-\d\d\/tags\/list/g) ?? []
  assert.equal(new Set(lists).size, lists.length)
})

test('a lease that its process cannot keep any more passes on', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const bed = await startCatalogue(t)
  const { work } = bed.catalogue
  const never = new AbortController().signal
  let told: unknown
  const held = work.alone('registry.example', never, async (signal) => {
    assert.equal(await work.alone('registry.example', never, async () => undefined), false)
    // As if it had run out, and another had it.
    await bed.jobs.raw.set('{layerd}:catalogue:lease:registry.example', 'of another')
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    told = signal.reason
  })
  assert.equal(await held, true)
  assert.equal((told as { code: string }).code, 'JOB_FENCED')
  assert.equal(await bed.jobs.raw.get('{layerd}:catalogue:lease:registry.example'), 'of another')
})

test('what a job of ours has changed is looked at at once, also while it is looked at; a dry run changes nothing', async (t) => {
  const { host } = await startDockerRegistry(t)
  await putArtifact(t, { host, repository: 'team/oar', tag: '1.0.0' })
  const bed = await startCatalogue(t)
  bed.refresher({ everyMs: 3_600_000 })
  await bed.add(host)
  await bed.refreshed(host)
  const records = createCatalogueRecords({ ...bed.jobs.options, role: 'starting' })
  defer(t, () => records.close())
  await putArtifact(t, { host, repository: 'team/oar', tag: '1.1.0' })
  const reference = `oci://${host}/team/oar:1.1.0`
  const work = tellingCatalogue(async () => ({ reference }) as never, records.news)
  await work({ options: { dryRun: true } } as Job, {} as RunContext)
  assert.deepEqual(await records.work.next(host, 10), [])
  await work({ options: {} } as Job, {} as RunContext)
  await waitFor('the new tag', async () => (await bed.search()).items[0]?.version === '1.1.0')
  assert.equal((await bed.registry(host)).state, 'ready')

  await records.work.changed('other.example', 'team/oar')
  const [seen] = await records.work.next('other.example', 10)
  assert.ok(seen)
  await records.work.changed('other.example', 'team/oar')
  await records.work.done('other.example', seen)
  assert.equal((await records.work.next('other.example', 10)).length, 1)
  // Of a registry that is not in the catalogue nothing is noted.
  await records.news.changed({ registry: 'third.example', repository: 'team/oar' })
  assert.deepEqual(await records.work.next('third.example', 10), [])
})

test('what is kept is bounded, told where there is more, changed by other settings, and gone with its registry', async (t) => {
  const { host } = await startDockerRegistry(t)
  for (const tag of ['1.0.0', '1.1.0', '1.2.0', '1.3.0']) await putArtifact(t, { host, repository: 'team/oar', tag })
  for (const repository of ['team/a', 'team/b', 'other/c']) await putArtifact(t, { host, repository, tag: '1.0.0' })
  const bed = await startCatalogue(t)
  bed.refresher({ limits: { requestsPerSecond: 10_000, tags: 5, tagsPerRepository: 3 } })
  await bed.add(host)
  const state = await bed.refreshed(host)
  assert.deepEqual([state.truncated, state.tagCount <= 5], [true, true])
  const url = `/v1/catalog/registries/${encodeURIComponent(host)}`
  const payload = { repositories: ['team/oar'], refreshSeconds: 600 }
  assert.equal((await bed.app.inject({ method: 'PUT', url, payload })).statusCode, 428)
  const changed = await bed.app.inject({ method: 'PUT', url, payload, headers: { 'if-match': '*' } })
  assert.deepEqual([changed.statusCode, changed.json().refreshSeconds], [200, 600])
  await waitFor('the rest to go', async () => {
    const { items } = await bed.search()
    return items.length === 1 && items[0]?.repository === 'team/oar'
  })
  const { items } = await bed.versions(`oci://${host}/team/oar`)
  assert.deepEqual(
    items.map(({ tag }) => tag),
    ['1.3.0', '1.2.0', '1.1.0'],
  )
  assert.equal((await bed.app.inject({ method: 'DELETE', url, headers: { 'if-match': '*' } })).statusCode, 204)
  await waitFor('nothing to be left', async () => {
    const left = await bed.jobs.raw.keys('{layerd}:catalogue:*')
    return left.filter((key) => !key.includes(':lease:')).length === 0
  })
  const bad = { source: 'list', repositories: ['team/*'] }
  const refused = await bed.app.inject({ method: 'PUT', url, payload: bad, headers: { 'if-none-match': '*' } })
  assert.deepEqual([refused.statusCode, refused.json().code], [400, 'BODY_INVALID'])
})
