import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startJobSystem } from '../helpers/job-system.ts'
import { startMemoryRegistry } from '../helpers/memory-registry.ts'
import { buildPackage } from '../helpers/package-builder.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

test('uploads that a failing job could not give up are given up after its end, with its own credentials', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 10_000, format: 'tar' })
  const basic = { username: 'pusher', password: 'secret' }
  const registry = await startMemoryRegistry({ basic })
  t.after(() => registry.close())
  registry.fail({ method: 'PUT', times: 100 }, { kind: 'answer', status: 403 })
  const lift = registry.fail({ method: 'DELETE', times: 100 }, { kind: 'answer', status: 503 })
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('worker')
  // One blob at a time: the answer to a request that is broken off as another blob fails would be lost.
  const credentials = { registry: registry.host, ...basic }
  const job = await system.publish(built.path, registry.host, { credentials, options: { concurrency: 1 } })
  const ended = await system.ended(job.id)
  assert.equal(ended.state, 'failed')
  assert.ok(registry.openSessions > 0)
  lift()
  await waitFor('the uploads to be given up', () => registry.openSessions === 0)
  await system.assertNothingLeft(registry)
})
