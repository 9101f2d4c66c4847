import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Digest } from '../../src/content/digest.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { registryClient } from '../helpers/packages/publishing.ts'

const { signal } = new AbortController()

test('blobs that are asked for one after another share a connection', async (t) => {
  await using registry = await startMemoryRegistry()
  const proxy = await startFaultProxy(t, registry.host)
  const repository = await registryClient(t).repository(proxy.host, 'nemo')
  const digests = Array.from({ length: 20 }, (_, at) => `sha256:${at.toString(16).padStart(64, '0')}` as Digest)
  for (const digest of digests) assert.equal(await repository.stat(digest, { signal }), undefined)
  // One was the probe whether the registry speaks TLS.
  assert.ok(proxy.connections <= 3, `${proxy.connections} connections for 20 questions`)
})
