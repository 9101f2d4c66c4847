import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppError } from '../../src/lib/errors.ts'
import { testBlob } from '../helpers/registries/oci-client.ts'
import { end, inParts, LARGE, pushed, ranges, scene, type UploadRegistry } from '../helpers/registries/upload-scene.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal

const brought = ({ requests }: UploadRegistry) =>
  requests.filter(({ method }) => method === 'PATCH' || method === 'PUT')

for (const { mib, tells, times } of [
  { mib: 4, tells: undefined, times: 3 },
  { mib: 20, tells: undefined, times: 3 },
  { mib: 20, tells: 1e12, times: 4 },
  { mib: 20, tells: 21 * MIB, times: 4 },
]) {
  const says = tells === undefined ? '' : ` and says that it has ${tells} bytes`
  test(`a registry that refuses ${mib} MiB in whatever way they come${says} gets them ${times} times, and is quoted`, async (t) => {
    const found = await scene(t, { refusesFrom: 0, ...(tells === undefined ? {} : { tells }) })
    const { registry, repository } = found
    const blob = testBlob(LARGE.subarray(0, mib * MIB))
    await assert.rejects(repository.push(blob.descriptor, blob.open, { signal }), (error: AppError) => {
      assert.deepEqual([error.code, error.retry, error.upstream?.status], ['REGISTRY_REJECTED', 'permanent', 416])
      assert.match(
        error.message,
        /refuses the bytes of sha256:\w+ in whatever way .*416 RANGE_INVALID: invalid content/,
      )
      return true
    })
    assert.equal(brought(registry).length, times)
    await repository.releasePush()
    assert.equal(registry.openSessions, 0)
  })
}

test('a registry that takes bytes again, to refuse the next ones again, gets the blob in another way', async (t) => {
  const found = await inParts(t, { refusesFrom: 8 * MIB, tells: 4 * MIB, chunkBytes: [4 * MIB, 4 * MIB] })
  await pushed(found, 20 * MIB)
  const refusal = [`PATCH ${4 * MIB}-${end(8)} 202`, `PATCH ${8 * MIB}-${end(12)} 416`]
  assert.deepEqual(
    ranges(found.registry).filter((line) => !line.startsWith('GET')),
    [`PATCH 0-${end(4)} 202`, ...refusal, ...refusal, ...refusal, ...refusal, 'PATCH - 202', 'PUT - 201'],
  )
})
