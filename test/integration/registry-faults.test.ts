import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readAll } from '../../src/content/streams.ts'
import { type AnsweringProxy, type ProxiedRequest, startAnsweringProxy } from '../helpers/network/answering-proxy.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { type FaultKind, type FaultPoint, startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { type JobSystem, startJobSystem } from '../helpers/redis/job-system.ts'
import { openRepository, recorder, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const SECONDS = { 'retry-after': '1' }
/** A date has no parts of a second, so that this is one to two of them away when it is asked for. */
const DATE = {
  get 'retry-after'() {
    return new Date(Date.now() + 2000).toUTCString()
  },
}

/** Nobody came back before the time that an answer named (less the grain of a timer). */
function assertWaited({ requests }: AnsweringProxy): void {
  // A blob may come back in another session.
  const what = ({ method, path, query }: ProxiedRequest) =>
    `${method} ${path.replace(/(\/uploads\/).*/, '$1')} ${query.get('digest') ?? ''}`
  for (const [at, first] of requests.entries()) {
    if (first.answered?.headers === undefined) continue
    const again = requests.slice(at + 1).find((later) => what(later) === what(first))
    assert.ok(again && again.at - first.at >= 990, `${what(first)} after ${(again?.at ?? NaN) - first.at} ms`)
  }
}

// What a gateway answers does not depend on what is behind it: one will do.
for (const program of registryPrograms().slice(-1)) {
  describe(`${program} behind a gateway that asks to wait`, () => {
    test('retry.retry-after.{seconds,date,503}, 5xx: every kind of request of a publish and a pull comes back when it may', async (t) => {
      const registry = await startDockerRegistry(t, { program })
      const proxy = await startAnsweringProxy(t, registry.host)
      const folder = await tempDir(t)
      const built = await buildPackage(folder, { layers: 1, layerBytes: 9 * MIB, format: 'tar' })
      const system = await startJobSystem(t, { roots: [folder] })
      await system.worker('one')
      const uploads = /\/blobs\/uploads\//
      const manifests = /\/manifests\//
      proxy.answer({ method: 'POST', path: uploads }, { status: 503, headers: SECONDS })
      proxy.answer({ method: 'HEAD', path: /\/blobs\// }, { status: 429, headers: DATE })
      proxy.answer({ method: 'PATCH' }, { status: 503, headers: SECONDS })
      proxy.answer({ method: 'PUT', path: uploads }, { status: 429, headers: SECONDS })
      proxy.answer({ method: 'PUT', path: manifests }, { status: 503, headers: SECONDS })
      proxy.answer({ method: 'HEAD', path: /\/blobs\//, nth: 3 }, { status: 502 })
      proxy.answer({ method: 'PUT', path: uploads, nth: 3 }, { status: 500 })
      const published = await succeeded(system, await system.publish(built.path, `${proxy.host}/faults`))
      assert.equal(published.attempt, 1)
      assert.equal(proxy.requests.filter(({ answered }) => answered).length, 7)

      proxy.answer({ method: 'GET', path: manifests }, { status: 429, headers: SECONDS })
      proxy.answer({ method: 'GET', path: /\/blobs\// }, { status: 503, headers: SECONDS })
      proxy.answer({ method: 'GET', path: /\/blobs\//, nth: 3 }, { status: 504 })
      const reference = published.result?.reference ?? ''
      const pulled = await succeeded(system, await system.pull(reference))
      assert.equal(pulled.result?.digest, published.result?.digest)
      assert.equal(proxy.requests.filter(({ answered }) => answered).length, 10)
      assertWaited(proxy)
      const moved = await system.log(published.id)
      const waits = moved.flatMap((event) => ('transfers' in event ? event.transfers : []))
      assert.ok(waits.some(({ state, retryAt }) => state === 'retrying' && retryAt !== null))
    })

    test('retry.retry-after.huge: a job that is to wait for an hour gives its place to others', async (t) => {
      const registry = await startDockerRegistry(t, { program })
      const proxy = await startAnsweringProxy(t, registry.host)
      const folder = await tempDir(t)
      const system = await startJobSystem(t, { roots: [folder] })
      await system.worker('one', { jobs: 1 })
      const [first, second] = [
        await buildPackage(folder, { name: 'first', layers: 1, layerBytes: 1000, format: 'tar' }),
        await buildPackage(folder, { name: 'second', layers: 1, layerBytes: 1000, format: 'tar' }),
      ]
      proxy.answer({ method: 'POST', path: /\/first\// }, { status: 429, headers: { 'retry-after': '3600' } })
      const before = Date.now()
      const job = await system.publish(first.path, proxy.host)
      const waiting = await waitFor('the job to wait', async () => {
        const found = await system.queue.get(job.id)
        return found?.state === 'retrying' ? found : undefined
      })
      assert.ok(Date.parse(waiting.progress.retryAt ?? '') >= before + 3_600_000, String(waiting.progress.retryAt))
      assert.equal(waiting.error?.code, 'REGISTRY_THROTTLED')
      await succeeded(system, await system.publish(second.path, proxy.host))
      assert.equal((await system.queue.get(job.id))?.state, 'retrying')
      await system.queue.cancel(job.id, {})
    })
  })
}

for (const program of registryPrograms()) {
  describe(`the way to ${program}`, () => {
    const LAYER = 20 * MIB
    /** So far in, that what is lost in the buffers of all sockets on the way is not everything. */
    const LATE = 14 * MIB
    /** So early, that the rest does not fit into them: who has handed everything over waits for the answer. */
    const EARLY = 4 * MIB
    for (const [what, at, kind] of [
      ['is cut in the middle of an upload', { up: LATE }, 'reset'],
      ['falls silent in the middle of an upload', { up: EARLY }, 'silence'],
      ['ends in good order in the middle of a download', { down: 5 * MIB }, 'close'],
      ['falls silent in the middle of a download', { down: 5 * MIB }, 'silence'],
    ] as const satisfies ReadonlyArray<readonly [string, FaultPoint, FaultKind]>) {
      test(what, async (t) => {
        const registry = await startDockerRegistry(t, { program })
        const proxy = await startFaultProxy(t, registry.host)
        // Where nothing falls silent, a busy machine is not to look as if something had.
        const timeouts = kind === 'silence' ? { sendIdleMs: 300, bodyIdleMs: 300 } : {}
        const repository = await openRepository(t, proxy.host, { timeouts })
        const blob = testBlob(someBytes(LAYER))
        const fault = proxy.fail(at, kind)
        const told = recorder()
        await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
        assert.deepEqual(await readAll(await repository.open(blob.descriptor, { signal })), blob.bytes)
        assert.ok(fault.met)
        assert.equal(told.events.filter(({ type }) => type === 'retrying').length, 'up' in at ? 1 : 0)
        // distribution 2.8 loses an upload that is cut, and none of them a download.
        const again = told.starts().at(-1) ?? 0
        assert.equal(again > 0, 'up' in at && program === 'registry', `from ${again}`)
        assert.ok(proxy.taken.down < LAYER + 5 * MIB, `${proxy.taken.down} bytes for ${LAYER}`)
      })
    }
  })
}

async function succeeded(system: JobSystem, { id }: { id: string }) {
  const job = await system.ended(id)
  assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
  assertStreamInvariants(await system.log(id))
  return job
}
