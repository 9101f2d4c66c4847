import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { RegistryLimits } from '../../src/content/limits/registry-limits.ts'
import { AppError } from '../../src/lib/errors.ts'
import type { RegistryTransport, RequestWait } from '../../src/oci/request/transport.ts'
import { limitsAlone } from '../helpers/registries/limits-alone.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { someBytes } from '../helpers/registries/oci-client.ts'
import { connect, push, request } from '../helpers/registries/transport.ts'
import { waitFor } from '../helpers/wait-for.ts'

const KIB = 1024
const MIB = 1024 * KIB
/** Far less than a limited body lets wait for its next bytes. */
const BRIEF = { sendIdleMs: 200, bodyIdleMs: 400 }

async function setUp(t: TestContext, limits: Partial<RegistryLimits>) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const connections = connect(t, { limits: limitsAlone(limits), timeouts: BRIEF })
  const waits: string[] = []
  const onWait = (_request: object, wait: RequestWait | undefined) => void (wait && waits.push(wait.error.message))
  const transport = connections.transport(registry.host, { credential: undefined, plainHttp: true, onWait })
  return { registry, transport, waits }
}

const pull = (transport: RegistryTransport, digest: string, more: object = {}) =>
  transport.send(request(`/v2/some/package/blobs/${digest}`, { lane: 'bulk', ...more }))

async function bytesOf(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of body) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

for (const [name, size, more] of [
  ['on a connection of its own', 3 * MIB, { expectedBytes: 3 * MIB }],
  ['among others', MIB, {}],
] as const) {
  test(`a body that comes slowly because of a limit is no silence (${name})`, async (t) => {
    const bytes = someBytes(size)
    const { registry, transport, waits } = await setUp(t, { bytesPerSecond: MIB / 2 })
    const digest = registry.putBlob('some/package', bytes)
    const begun = performance.now()
    const response = await pull(transport, digest, more)
    assert.ok(bytes.equals(await bytesOf(response.body)))
    // All but what may be ahead of the limit: a quarter of a second of it.
    assert.ok(performance.now() - begun >= (size / MIB) * 2000 - 600)
    if (size > 2 * MIB) assert.ok(waits.includes(`bytes per second of ${registry.host} (limit ${MIB / 2})`))
  })
}

for (const [name, size] of [
  ['large', MIB],
  ['small', 60 * KIB],
] as const) {
  test(`a ${name} body that goes slowly because of a limit is no stall, and arrives as it was`, async (t) => {
    const bytes = someBytes(size)
    const { registry, transport } = await setUp(t, { bytesPerSecond: 256 * KIB })
    const begun = performance.now()
    const digest = await push(transport, 'some/package', bytes)
    assert.ok(registry.blob('some/package', digest)?.equals(bytes))
    assert.ok(performance.now() - begun >= (size / (256 * KIB)) * 1000 - 600)
  })
}

test('small requests do not wait behind bodies, and bodies give their places back however they end', async (t) => {
  const { registry, transport, waits } = await setUp(t, { concurrency: 1, bytesPerSecond: 512 * KIB })
  const digest = registry.putBlob('some/package', someBytes(3 * MIB))
  const first = await pull(transport, digest, { expectedBytes: 3 * MIB })
  // It takes six seconds.
  const reading = bytesOf(first.body).catch(() => undefined)
  const stopped = new AbortController()
  const canceled = pull(transport, digest, { signal: stopped.signal })
  const second = pull(transport, digest)
  const said = `bodies at once of ${registry.host} (limit 1)`
  await waitFor('others to say what they wait for', () => waits.filter((wait) => wait === said).length >= 2)
  const looked = await transport.send(request(`/v2/some/package/blobs/${digest}`, { method: 'HEAD' }))
  await looked.discard()
  stopped.abort(new AppError('JOB_CANCELED', 'enough'))
  await assert.rejects(canceled, { code: 'JOB_CANCELED' })
  first.abandon()
  await reading
  const response = await second
  for await (const _ of response.body) break
  registry.fail({ path: /blobs\/sha256/ }, { kind: 'answer', status: 500 })
  await assert.rejects(pull(transport, digest), { code: 'REGISTRY_SERVER_FAILED' })
  const third = await pull(transport, digest)
  await third.discard()
  registry.fail({ path: /blobs\/sha256/ }, { kind: 'cut-response', afterBytes: 10 })
  const cut = await pull(transport, digest)
  await assert.rejects(bytesOf(cut.body))
  const last = await pull(transport, digest)
  last.abandon()
})

test('a canceled body that waits for its bytes is let go at once, and holds up nobody', async (t) => {
  const { registry, transport, waits } = await setUp(t, { bytesPerSecond: 64 * KIB })
  const digest = registry.putBlob('some/package', someBytes(3 * MIB))
  const stopped = new AbortController()
  const response = await pull(transport, digest, { expectedBytes: 3 * MIB, signal: stopped.signal })
  const read = bytesOf(response.body)
  await waitFor('it to wait', () => waits.length > 0)
  stopped.abort(new AppError('JOB_CANCELED', 'enough'))
  await assert.rejects(read)
  const small = registry.putBlob('some/package', someBytes(KIB))
  const next = await pull(transport, small)
  assert.equal((await bytesOf(next.body)).length, KIB)
})

test('a process that can ask nobody keeps to the requests a second by itself', async (t) => {
  const { registry, transport } = await setUp(t, { requestsPerSecond: 20 })
  const begun = performance.now()
  const asks = Array.from({ length: 21 }, async () => {
    const response = await transport.send(request('/v2/some/package/tags/list', { method: 'GET' }), { allow: [404] })
    await response.discard()
  })
  await Promise.all(asks)
  assert.ok(registry.requests.length >= 21)
  assert.ok(performance.now() - begun >= 900)
})
