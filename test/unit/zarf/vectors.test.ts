import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { digestOf } from '../../../src/content/digest.ts'
import { descriptorTitle } from '../../../src/content/descriptor.ts'
import { packageContents } from '../../../src/zarf/contents/contents.ts'
import { packageTag } from '../../../src/zarf/package-reference.ts'
import { V1, V2, V3, type Vector } from './vectors.ts'

for (const [name, vector] of Object.entries({ V1, V2, V3 })) {
  test(`${name}: config and manifest have the bytes that zarf v0.84 computes`, async () => {
    const contents = await packageContents(filesOf(vector))
    assert.equal(contents.config.bytes.toString(), vector.config)
    assert.equal(contents.config.descriptor.digest, vector.configDigest)
    assert.deepEqual(contents.layers.map(descriptorTitle), vector.layers)
    assert.equal(contents.manifest.bytes.length, vector.manifestBytes)
    assert.equal(contents.manifest.digest, vector.manifestDigest)
  })
}

test('V2: the tag carries the flavor and the platform is the metadata architecture', async () => {
  const { identity } = await packageContents(filesOf(V2))
  assert.equal(packageTag(identity), '2.0.0-sour')
  assert.equal(identity.architecture, 'arm64')
})

test('V2: a build date and a user annotation of the same name: the build date wins', async () => {
  const { annotations } = JSON.parse((await packageContents(filesOf(V2))).manifest.bytes.toString()) as {
    annotations: Record<string, string>
  }
  assert.equal(annotations['org.opencontainers.image.created'], '2024-01-02T08:04:05Z')
  assert.equal(annotations['org.opencontainers.image.title'], 'overridden')
})

function filesOf(vector: Vector) {
  const lines = Object.entries(vector.files).map(
    ([path, content]) => `${createHash('sha256').update(content).digest('hex')} ${path}`,
  )
  const all = {
    ...vector.files,
    'checksums.txt': `${lines.toSorted().join('\n')}\n`,
    'zarf.yaml': vector.definition,
  }
  return Object.entries(all).map(([path, content]) => {
    const bytes = Buffer.from(content)
    return { path, size: bytes.length, digest: digestOf(bytes), bytes }
  })
}
