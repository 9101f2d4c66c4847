import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { digestOf } from '../../src/content/digest.ts'
import { createAuditLog } from '../../src/jobs/access/audit-log.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { waitFor } from '../helpers/wait-for.ts'

const INDEX = digestOf(publishedIndex('nemo'))
const AMD64 = digestOf(publishedManifest('nemo'))
const ARM64 = digestOf(publishedManifest('nemo', 'arm64'))
const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const

async function filled(t: { after(work: () => Promise<void>): void }) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [
    NEMO,
    { ...NEMO, path: FIXTURES.nemoArm64, architecture: 'arm64' },
  ])
  return { registry, source: `oci://${registry.host}/team/nemo:1.2.0` }
}

describe('delete jobs', () => {
  test('a dry run lists what the job deletes then; each thing has its row and its line in the audit', async (t) => {
    const { registry, source } = await filled(t)
    const system = await startJobSystem(t, { roots: [] })
    await system.worker('one')
    const dry = await system.ended((await system.remove(source, { options: { dryRun: true } })).id)
    assert.equal(dry.state, 'succeeded', JSON.stringify(dry.error))
    assert.deepEqual(
      registry.requests.filter(({ method }) => !['GET', 'HEAD'].includes(method)),
      [],
    )
    const job = await system.ended((await system.remove(source, { principal: 'ann' })).id)
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    const [planned, done] = [dry.result?.removal, job.result?.removal]
    assert.deepEqual(planned, { ...done, dryRun: true })
    assert.deepEqual(new Set(done?.removed.map(({ digest }) => digest)), new Set([INDEX, AMD64, ARM64]))
    assert.deepEqual([job.progress.layers.total, job.progress.layers.done], [3, 3])
    assertStreamInvariants(await system.log(job.id))
    const { items } = await system.queue.transfers(job.id, { size: 50 })
    assert.deepEqual(
      new Set(items.map(({ digest, state }) => `${digest} ${state}`)),
      new Set([INDEX, AMD64, ARM64].map((digest) => `${digest} complete`)),
    )
    const audit = createAuditLog({ redis: { socketPath: system.redis.socketPath }, entries: 100 })
    t.after(() => audit.close())
    const lines = await waitFor('the audit', async () => {
      const { items: found } = await audit.list({ principal: 'ann' }, { size: 50 })
      return found.length === 4 ? found : undefined
    })
    assert.deepEqual(
      lines.map(({ action }) => String(action)).toSorted((a, b) => (a < b ? -1 : 1)),
      ['deleteManifest', 'deleteManifest', 'deleteManifest', 'deleteTag'],
    )
    assert.ok(lines.every(({ target }) => target['job'] === job.id && target['repository'] === 'team/nemo'))
    await system.queue.remove(job.id)
    const raw = new Redis(system.redis.clientOptions)
    t.after(() => raw.disconnect())
    assert.deepEqual(await raw.keys(`*${job.id}:deletions`), [])
  })

  test('killed after the tag went, another worker finishes: nothing is left, and all of it is told', async (t) => {
    const { registry, source } = await filled(t)
    const system = await startJobSystem(t, { roots: [] })
    const first = await system.workerProcess('first', { lockMs: 1500 })
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const undo = registry.fail({ method: 'DELETE', path: new RegExp(AMD64) }, { kind: 'hold', until: held })
    const { id } = await system.remove(source)
    await waitFor('the deletion to be in the middle', async () =>
      registry.requests.some(({ method, path }) => method === 'DELETE' && path.endsWith(AMD64)),
    )
    assert.equal(registry.manifests.get('team/nemo', '1.2.0'), undefined)
    await first.kill()
    undo()
    await system.worker('second', { lockMs: 1500 })
    const job = await system.ended(id)
    release()
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    assert.ok(job.attempt > 1)
    for (const digest of [INDEX, AMD64, ARM64]) assert.equal(registry.manifests.get('team/nemo', digest), undefined)
    assert.equal(job.result?.removal?.removed.length, 4)
    await system.assertNothingLeft()
  })

  test('a tag that is not there fails with what to do', async (t) => {
    const { registry } = await filled(t)
    const system = await startJobSystem(t, { roots: [] })
    await system.worker('one')
    const job = await system.ended((await system.remove(`oci://${registry.host}/team/nemo:9.9.9`)).id)
    assert.deepEqual([job.state, job.error?.code], ['failed', 'MANIFEST_NOT_FOUND'])
  })
})
