import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { AppError } from '../../src/lib/errors.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const large = testBlob(someBytes(10 * MIB))

/** A repository over no connection yet, and a caller who may use it until it is told that it is connected. */
async function setUp(t: TestContext) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  let fenced = false
  const fence = () => void (fenced = true)
  const repository = await openRepository(t, registry.host, {
    mayUse() {
      if (fenced) throw new AppError('JOB_FENCED', 'no longer ours')
    },
  })
  return { registry, repository, fence }
}

function fenceWhenConnected(t: TestContext, fence: () => void): void {
  // Whichever exchange connects: its own listeners come later.
  const onSocket = (message: unknown) => void (message as { socket: Socket }).socket.once('connect', fence)
  subscribe('net.client.socket', onSocket)
  t.after(() => void unsubscribe('net.client.socket', onSocket))
}

function sent({ requests }: MemoryRegistry): string[] {
  return requests.map(({ method, path }) => `${method} ${path}`)
}

test('a request whose connection is there only when another run may have begun is not sent', async (t) => {
  const { registry, repository, fence } = await setUp(t)
  await repository.getManifest('none', { signal })
  fenceWhenConnected(t, fence)
  const [first, second] = await Promise.allSettled([
    repository.getManifest('first', { signal }),
    repository.getManifest('second', { signal }),
  ])
  assert.equal(first.status, 'fulfilled', 'it went over the connection that was there')
  assert.equal(second.status === 'rejected' && (second.reason as AppError).code, 'JOB_FENCED')
  assert.ok(!sent(registry).includes('GET /v2/test/blobs/manifests/second'))
})

test('nor is that of a large download', async (t) => {
  const { registry, repository, fence } = await setUp(t)
  registry.putBlob('test/blobs', large.bytes)
  await repository.exists(large.descriptor, { signal })
  const before = sent(registry)
  fenceWhenConnected(t, fence)
  const read = async () => {
    for await (const _chunk of await repository.open(large.descriptor, { signal })) break
  }
  await assert.rejects(read(), { code: 'JOB_FENCED' })
  assert.deepEqual(sent(registry), before)
})

test('nor is an upload whose first bytes come too late', async (t) => {
  const { registry, repository, fence } = await setUp(t)
  const open = async () => {
    fence()
    return await large.open({ signal })
  }
  await assert.rejects(repository.push(large.descriptor, open, { signal }), { code: 'JOB_FENCED' })
  assert.deepEqual(
    sent(registry).filter((request) => /^(?:PATCH|PUT)/.test(request)),
    [],
  )
})
