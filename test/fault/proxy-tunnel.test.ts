import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import tls from 'node:tls'
import { readAll } from '../../src/content/streams.ts'
import type { ConnectionTimeouts } from '../../src/oci/connections.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { startConnectProxy } from '../helpers/network/connect-proxy.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, recorder, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { startTlsFront } from '../helpers/network/tls-front.ts'

/** A registry over TLS through a proxy's tunnel, whose near end breaks. */
const MIB = 1024 * 1024
const { signal } = new AbortController()
const registryName = 'outside.invalid'
const certificate = createCertificate([registryName])
tls.setDefaultCACertificates([...tls.getCACertificates(), certificate.certPem])
/** More than all socket buffers on the way take. */
const blob = testBlob(someBytes(32 * MIB))
const small = testBlob(blob.bytes.subarray(0, 8 * MIB))

async function behindProxy(t: Cleanup, timeouts: Partial<ConnectionTimeouts> = {}) {
  const registry = await startMemoryRegistry({ sessions: 'dist3', locations: 'relative' })
  t.after(() => registry.close())
  const proxy = await startConnectProxy(t, await startTlsFront(t, registry.host, certificate))
  const wire = await startFaultProxy(t, proxy.host)
  const repository = await openRepository(t, registryName, {
    proxy: { https: `http://${wire.host}` },
    timeouts: { sendIdleMs: 500, bodyIdleMs: 500, ...timeouts },
  })
  return { registry, proxy, wire, repository }
}

for (const [kind, code] of [
  ['silence', 'REGISTRY_TIMEOUT'],
  ['reset', 'REGISTRY_CONNECTION_LOST'],
] as const) {
  test(`upload through a tunnel, ${kind}: what the registry lacks goes through another one`, async (t) => {
    const { registry, proxy, wire, repository } = await behindProxy(t)
    const told = recorder()
    const fault = wire.fail({ up: 5 * MIB }, kind)
    await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
    assert.ok(fault.met)
    assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
    assert.deepEqual(
      told.events.flatMap((event) => (event.type === 'retrying' ? [event.error.code] : [])),
      [code],
    )
    const sent = registry.requests.filter(({ method }) => method === 'PATCH').map(({ bodyBytes }) => bodyBytes)
    assert.equal(sent.length, 2)
    assert.equal(
      sent.reduce((sum, bytes) => sum + bytes),
      blob.bytes.length,
    )
    assert.deepEqual(new Set(proxy.tunnels), new Set([`${registryName}:443`]))
  })

  test(`download through a tunnel, ${kind}: the rest comes through another one`, async (t) => {
    const { registry, proxy, wire, repository } = await behindProxy(t)
    registry.putBlob('test/blobs', small.bytes)
    const codes: string[] = []
    const fault = wire.fail({ down: 5 * MIB }, kind)
    const stream = await repository.open(small.descriptor, { signal, onRetry: ({ code: met }) => void codes.push(met) })
    assert.deepEqual(await readAll(stream), small.bytes)
    assert.ok(fault.met)
    assert.deepEqual(codes, [code])
    const ranges = registry.requests.flatMap(({ method, headers }) => (method === 'GET' ? [headers.range] : []))
    assert.match(ranges.at(-1) ?? '', /^bytes=[1-9]\d*-$/)
    assert.deepEqual(new Set(proxy.tunnels), new Set([`${registryName}:443`]))
  })
}

test('a proxy that does not answer is asked again for a tunnel', async (t) => {
  const { wire, repository, proxy } = await behindProxy(t, { connectMs: 2000 })
  const deaf = wire.fail({ call: 1 }, 'silence')
  assert.equal(await repository.stat(blob.descriptor.digest, { signal }), undefined)
  assert.ok(deaf.met)
  assert.equal(proxy.tunnels.length, 1)
})

test("a tunnel's connection is kept alive every 30 s, as any other", async (t) => {
  const { wire, repository } = await behindProxy(t)
  assert.equal(await repository.stat(blob.descriptor.digest, { signal }), undefined)
  const port = Number(wire.host.split(':')[1]).toString(16).toUpperCase().padStart(4, '0')
  // proc(5): sl local remote st queues "tr:when"; timer 2 is that of the keep-alive, in hundredths of a second.
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/))
  // 01 is an open connection; closed ones, also of whoever had the port before, wait in the table for a minute.
  const timers = lines.flatMap(([, , remote, state, , timer]) =>
    state === '01' && remote?.endsWith(`:${port}`) ? [timer ?? ''] : [],
  )
  assert.ok(timers.length > 0)
  for (const timer of timers) {
    assert.match(timer, /^02:/)
    assert.ok(Number.parseInt(timer.slice(3), 16) <= 3000, timer)
  }
})
