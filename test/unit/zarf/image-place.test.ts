import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { imagePlace } from '../../../src/zarf/select.ts'

const TO = { registry: 'registry.example:5000', namespace: 'images' }
const DIGEST = `sha256:${'a'.repeat(64)}` as const

describe('where zarf puts an image', () => {
  // The checksums are those that zarf v0.84 wrote (test/interop/mirror.test.ts).
  for (const [image, repository, tags] of [
    ['localhost:5601/apps/anchor:1.0', 'images/apps/anchor', ['1.0-zarf-3929175591', '1.0']],
    ['nginx', 'images/library/nginx', ['latest-zarf-3793515731', 'latest']],
    ['docker.io/library/nginx:latest', 'images/library/nginx', ['latest-zarf-3793515731', 'latest']],
  ] as const) {
    test(image, () => {
      assert.deepEqual(imagePlace(image, TO, { checksum: true }), { repository, tags: [...tags] })
      assert.deepEqual(imagePlace(image, TO, { checksum: false }).tags, [tags[1]])
    })
  }

  test('one that is named by its digest goes by that', () => {
    const place = imagePlace(`ghcr.io/team/diver:1.0@${DIGEST}`, TO, { checksum: true })
    assert.deepEqual(place, { repository: 'images/team/diver', tags: [], digest: DIGEST })
  })

  test('one of that very registry keeps its place, whatever the namespace; one of a registry whose name begins alike does not', () => {
    const there = imagePlace('registry.example:5000/team/diver:1.0', TO, { checksum: true })
    assert.deepEqual(there, { repository: 'team/diver', tags: ['1.0'] })
    const other = imagePlace('registry.example/team/diver:1.0', TO, { checksum: false })
    assert.equal(other.repository, 'images/team/diver')
  })
})
