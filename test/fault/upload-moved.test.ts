import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openRepository, someBytes, type TestBlob, testBlob } from '../helpers/registries/oci-client.ts'
import {
  type ScriptedRegistry,
  type ScriptEntry,
  startScriptedRegistry,
} from '../helpers/registries/scripted-registry.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal
const UPLOADS = '/v2/test/blobs/blobs/uploads/'

/** A registry that opens sessions at `location` and answers as the lines say. */
const scripted = (t: TestContext, lines: ScriptEntry[], location = '/u/1?s=0') =>
  startScriptedRegistry(t, [{ method: 'POST', path: UPLOADS, status: 202, answerHeaders: { location } }, ...lines])
/** Pushes it, with all requests that the lines want. */
async function pushedTo(t: TestContext, registry: ScriptedRegistry, blob: TestBlob): Promise<void> {
  const repository = await openRepository(t, registry.host)
  await repository.push(blob.descriptor, blob.open, { signal })
  registry.check()
}
const putPath = (location: string, digest: string) => `${location}&digest=${encodeURIComponent(digest)}`

for (const status of [301, 302, 307, 308]) {
  test(`bytes that are sent on by ${status} go out again there, from where the upload stood`, async (t) => {
    const blob = testBlob(someBytes(9 * MIB))
    const { digest } = blob.descriptor
    const registry = await scripted(t, [
      { method: 'PATCH', path: '/u/1?s=0', status, answerHeaders: { location: '/moved/1?s=0' } },
      { method: 'PATCH', path: '/moved/1?s=0', status: 202, answerHeaders: { location: '/moved/1?s=9' } },
      {
        method: 'PUT',
        path: putPath('/moved/1?s=9', digest),
        status,
        answerHeaders: { location: putPath('/moved/2?s=9', digest) },
      },
      { method: 'PUT', path: putPath('/moved/2?s=9', digest), status: 201 },
    ])
    await pushedTo(t, registry, blob)
    assert.deepEqual(registry.requests.filter(({ method }) => method === 'PATCH')[1]?.body, blob.bytes)
  })

  test(`a small blob that is sent on by ${status} goes out again there`, async (t) => {
    const blob = testBlob(someBytes(100_000))
    const { digest } = blob.descriptor
    const registry = await scripted(t, [
      {
        method: 'PUT',
        path: putPath('/u/1?s=0', digest),
        status,
        answerHeaders: { location: putPath('/moved/1?s=0', digest) },
      },
      { method: 'PUT', path: putPath('/moved/1?s=0', digest), status: 201 },
    ])
    await pushedTo(t, registry, blob)
    assert.deepEqual(registry.requests.at(-1)?.body, blob.bytes)
  })
}

test('an upload that is sent on for ever ends', async (t) => {
  const blob = testBlob(someBytes(100_000))
  const put = putPath('/u/1?s=0', blob.descriptor.digest)
  const moved: ScriptEntry = { method: 'PUT', path: put, status: 307, answerHeaders: { location: put } }
  const registry = await scripted(
    t,
    Array.from({ length: 6 }, () => ({ ...moved })),
  )
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.push(blob.descriptor, blob.open, { signal }), {
    code: 'REGISTRY_PROTOCOL_VIOLATION',
    message: /redirects more than 5 times/,
  })
})

test('location.fragment: what is appended to a Location is not lost behind a fragment', async (t) => {
  const blob = testBlob(someBytes(9 * MIB))
  const registry = await scripted(
    t,
    [
      { method: 'PATCH', path: '/u/1?s=0', status: 202, answerHeaders: { location: '/u/1?s=9#there' } },
      { method: 'PUT', path: putPath('/u/1?s=9', blob.descriptor.digest), status: 201 },
    ],
    '/u/1?s=0#here',
  )
  const repository = await openRepository(t, registry.host)
  await repository.push(blob.descriptor, blob.open, { signal })
  registry.check()
})
