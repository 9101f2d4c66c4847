import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, recorder, someBytes, testBlob } from '../helpers/registries/oci-client.ts'

/** What is told of an upload that starts again: what the registry answered, and what had broken it before. */
const MIB = 1024 * 1024
const { signal } = new AbortController()
const refusal = (code: string, message = 'no') => JSON.stringify({ errors: [{ code, message }] })
const json = { 'content-type': 'application/json' }

/** The message of the only restart of a push that ends well, without names that are the test's own. */
async function restart(t: TestContext, registry: MemoryRegistry, mib: number): Promise<string> {
  t.after(() => registry.close())
  const repository = await openRepository(t, registry.host)
  const blob = testBlob(someBytes(mib * MIB))
  const told = recorder()
  await repository.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
  assert.deepEqual(registry.blob('test/blobs', blob.descriptor.digest), blob.bytes)
  const messages = told.events.flatMap((event) => (event.type === 'restarted' ? [event.message] : []))
  assert.equal(messages.length, 1, messages.join('\n'))
  const [message = ''] = messages
  return message
    .replaceAll(registry.host, 'R')
    .replace(blob.descriptor.digest, 'D')
    .replaceAll(/[0-9a-f-]{36}/g, 'S')
}

const BEGIN = 'R/test/blobs: the upload of D starts again: '

test('a cut that ended the session: the answer about it, and the network error', async (t) => {
  const registry = await startMemoryRegistry({ sessions: 'dist2.8' })
  registry.fail({ method: 'PATCH' }, { kind: 'cut-request', afterBytes: 5 * MIB })
  assert.match(
    await restart(t, registry, 12),
    /^R\/test\/blobs: the upload of D starts again: its status was answered with 404 BLOB_UPLOAD_INVALID, after push blob: R broke the connection \((?:UND_ERR_SOCKET|ECONNRESET|EPIPE)\)$/,
  )
})

test('a failing status that ended the session: its code and text, and what the session was answered', async (t) => {
  const registry = await startMemoryRegistry({ sessions: 'dist2.8' })
  const answer = {
    kind: 'refuse-request',
    afterBytes: 5 * MIB,
    status: 500,
    headers: json,
    body: refusal('UNKNOWN', 'disk is gone'),
  } as const
  registry.fail({ method: 'PATCH' }, answer)
  const gone = {
    kind: 'answer',
    status: 404,
    headers: { 'content-type': 'text/html' },
    body: '<html><title>404 Not Found</title></html>',
  } as const
  registry.fail({ method: 'GET', path: /\/blobs\/uploads\// }, gone)
  assert.equal(
    await restart(t, registry, 12),
    `${BEGIN}its status was answered with 404: 404 Not Found, after push blob: R answered 500 UNKNOWN: disk is gone`,
  )
})

test('a session that is refused at its commit, or at its bytes', async (t) => {
  const lost = { kind: 'answer', status: 404, headers: json, body: refusal('BLOB_UPLOAD_UNKNOWN') } as const
  const committed = await startMemoryRegistry()
  committed.fail({ method: 'PUT', path: /\/blobs\/uploads\// }, lost)
  assert.equal(await restart(t, committed, 12), `${BEGIN}the commit was answered with 404 BLOB_UPLOAD_UNKNOWN`)
  const sent = await startMemoryRegistry()
  sent.fail({ method: 'PATCH' }, lost)
  assert.equal(
    await restart(t, sent, 12),
    `${BEGIN}it answered 404 BLOB_UPLOAD_UNKNOWN to the bytes from 0 of ${12 * MIB} on`,
  )
})

test('a digest that is found wrong once', async (t) => {
  const registry = await startMemoryRegistry()
  const wrong = { kind: 'answer', status: 400, headers: json, body: refusal('DIGEST_INVALID') } as const
  registry.fail({ method: 'PUT', path: /\/blobs\/uploads\// }, wrong)
  assert.equal(await restart(t, registry, 12), `${BEGIN}the registry found the digest wrong (400 DIGEST_INVALID)`)
})

test('a registry that stands elsewhere and then nowhere: the 416 and the answer after it', async (t) => {
  const registry = await startMemoryRegistry()
  registry.fail({ method: 'PATCH' }, { kind: 'answer', status: 416, headers: json, body: refusal('RANGE_INVALID') })
  registry.fail({ method: 'GET', path: /\/blobs\/uploads\// }, { kind: 'answer', status: 404, body: '' })
  assert.equal(
    await restart(t, registry, 12),
    `${BEGIN}its status was answered with 404, after push blob: R answered 416 RANGE_INVALID: no`,
  )
})
