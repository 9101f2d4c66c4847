import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import tls from 'node:tls'
import { createCertificate } from '../helpers/network/certificate.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, recorder, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const MIB = 1024 * 1024
const sendIdleMs = 300
const signal = new AbortController().signal
const anonymous = { credential: undefined, plainHttp: true }
/** A loopback registry is found out by its answer. */
const either = { credential: undefined, plainHttp: false }
/** More than all socket buffers on the way take, so that a far end that does not read is noticed. */
const MUCH = 32 * MIB

const certificate = createCertificate()
tls.setDefaultCACertificates([...tls.getCACertificates(), certificate.certPem])
const schemes = [
  ['HTTP', {}],
  ['TLS', { tls: certificate }],
] as const

const put = (body: () => AsyncIterable<Buffer>) =>
  request('/v2/upload', { method: 'PUT', op: 'push blob', lane: 'bulk', body })

async function* much() {
  const chunk = Buffer.alloc(64 * 1024, 1)
  for (let at = 0; at < MUCH; at += chunk.length) yield chunk
}

test('upload.stalls-mid-patch: it is broken off, and goes on with what the registry lacks', async (t) => {
  const registry = await startMemoryRegistry({ sessions: 'dist3' })
  t.after(() => registry.close())
  const proxy = await startFaultProxy(t, registry.host)
  const repository = await openRepository(t, proxy.host, { timeouts: { sendIdleMs } })
  const blob = testBlob(someBytes(MUCH))
  const told = recorder()
  const stall = proxy.fail({ up: 5 * MIB }, 'silence')
  await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  assert.ok(stall.met)
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
  const retrying = told.events.filter((event) => event.type === 'retrying')
  assert.deepEqual(
    retrying.map(({ error }) => [error.code, error.retry, error.op]),
    [['REGISTRY_TIMEOUT', 'transient', 'push blob']],
  )
  assert.match(retrying[0]?.error.message ?? '', /^push blob: 127\.0\.0\.1:\d+ stopped taking what was sent$/)
  const patches = registry.requests.filter(({ method }) => method === 'PATCH')
  const kept = patches[0]?.bodyBytes ?? 0
  assert.ok(kept > 4 * MIB, `the registry has ${kept} bytes of the first request`)
  assert.deepEqual(told.starts(), [0, kept])
  assert.deepEqual(
    patches.map(({ bodyBytes }) => bodyBytes),
    [kept, MUCH - kept],
  )
  assert.equal(registry.openSessions, 0)
})

test('a proxy that takes no more is noticed as the registry itself is', async (t) => {
  const deaf = await startScriptedServer(t, (incoming, response) => {
    if (incoming.method === 'GET') response.end('{}')
  })
  const connections = connect(t, { proxy: { http: deaf.url }, timeouts: { sendIdleMs } })
  for (const host of [deaf.host, 'outside.invalid']) {
    const stalled = { code: 'REGISTRY_TIMEOUT', message: `push blob: ${host} stopped taking what was sent` }
    await assert.rejects(connections.transport(host, anonymous).send(put(much)), stalled)
  }
})

test('neither a slow source nor a registry that is silent over all bytes is a stall', async (t) => {
  const registry = await startScriptedServer(t, (incoming, response) =>
    incoming.resume().once('end', () => setTimeout(() => response.writeHead(201).end(), 3 * sendIdleMs)),
  )
  const transport = connect(t, { timeouts: { sendIdleMs } }).transport(registry.host, anonymous)
  const response = await transport.send(
    put(async function* () {
      yield* much()
      await delay(3 * sendIdleMs)
      yield* much()
    }),
  )
  assert.equal(response.status, 201)
  await response.discard()
})

test('a far end that stops once its source was slow is noticed', async (t) => {
  const deaf = await startScriptedServer(t, () => {})
  const transport = connect(t, { timeouts: { sendIdleMs } }).transport(deaf.host, anonymous)
  const sent = transport.send(
    put(async function* () {
      yield Buffer.alloc(64 * 1024)
      await delay(2 * sendIdleMs)
      yield* much()
    }),
  )
  await assert.rejects(sent, { code: 'REGISTRY_TIMEOUT' })
})

for (const [scheme, options] of schemes) {
  test(`a link that takes a chunk over ${scheme} in small pieces is slow, not still`, async (t) => {
    const registry = await startScriptedServer(
      t,
      (incoming, response) => incoming.resume().once('end', () => response.writeHead(201).end()),
      options,
    )
    const proxy = await startFaultProxy(t, registry.host, { bytesPerSecond: 6 * MIB })
    const transport = connect(t, { timeouts: { sendIdleMs: 1000 } }).transport(proxy.host, either)
    const response = await transport.send(
      put(async function* () {
        yield Buffer.alloc(24 * MIB, 1)
      }),
    )
    assert.equal(response.status, 201)
    await response.discard()
    assert.equal(registry.requests.length, 1)
  })

  test(`a link over ${scheme} that takes a part of a chunk and no more is still`, async (t) => {
    const registry = await startScriptedServer(t, (incoming) => void incoming.resume(), options)
    const proxy = await startFaultProxy(t, registry.host)
    const transport = connect(t, { timeouts: { sendIdleMs } }).transport(proxy.host, either)
    const stall = proxy.fail({ up: 5 * MIB }, 'silence')
    const stalled = { code: 'REGISTRY_TIMEOUT', message: `push blob: ${proxy.host} stopped taking what was sent` }
    const sent = transport.send(
      put(async function* () {
        yield Buffer.alloc(24 * MIB, 1)
      }),
    )
    await assert.rejects(sent, stalled)
    assert.ok(stall.met)
  })
}

for (const fault of [
  { kind: 'answer', early: true, status: 503 },
  { kind: 'cut-request', afterBytes: 1000 },
] as const) {
  test(`a small body tells nothing of itself before it was taken (${fault.kind})`, async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    registry.fail({ method: 'PUT' }, fault)
    const repository = await openRepository(t, registry.host)
    const blob = testBlob(someBytes(3000))
    const told = recorder()
    await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
    assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
    const moved = told.events.flatMap(({ type }) => (type === 'bytes' || type === 'retrying' ? [type] : []))
    assert.deepEqual(moved, ['retrying', 'bytes'])
    const last = told.events.findLast(({ type }) => type === 'bytes')
    assert.deepEqual(last, { type: 'bytes', offset: 3000, wire: 3000 - (told.starts().at(-1) ?? 0) })
  })
}
