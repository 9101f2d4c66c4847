import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Digest } from '../../../src/content/digest.ts'
import { OCTET_STREAM } from '../../../src/content/media-types.ts'
import { parseDestination } from '../../../src/content/reference.ts'
import { CleanupStack } from '../../helpers/cleanup.ts'
import { copyTo } from '../../helpers/packages/copying.ts'
import { type BuiltPackage, buildPackage } from '../../helpers/packages/package-builder.ts'
import { digestOfStream } from '../../helpers/packages/packages.ts'
import { publishTo } from '../../helpers/packages/publishing.ts'
import { pullFrom } from '../../helpers/packages/pulling.ts'
import { PROFILE_NAMES, type ProfileName } from '../../helpers/registries/kit/profiles.ts'
import { NAMESPACE, profileScene, REPOSITORY } from '../../helpers/registries/kit/scene.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const ELSEWHERE = 'team/elsewhere'
/** Who links nothing from a repository that is named. */
const NO_MOUNTS: readonly ProfileName[] = ['ecr', 'ecr-public', 'artifactory']

const stack = new CleanupStack()
let built: BuiltPackage
before(async () => {
  built = await buildPackage(await tempDir(stack, 'copies'), { format: 'tar', layers: 2, layerBytes: [4096, 9 * MIB] })
})
after(async () => stack[Symbol.asyncDispose]())

for (const name of PROFILE_NAMES) {
  const linked = !NO_MOUNTS.includes(name)
  test(`${name}: a package that is copied is ${linked ? 'linked' : 'sent once'}, and comes back byte for byte`, async (t) => {
    const names = [NAMESPACE, REPOSITORY, ELSEWHERE, `${ELSEWHERE}/sample`]
    const { registry, client, sent } = await profileScene(t, name, { names })
    const { outcome } = await publishTo(t, built.path, parseDestination(`${registry.host}/${NAMESPACE}`), { client })
    const before = registry.requests.length
    const from = `oci://${registry.host}/${REPOSITORY}:1.0.0`
    const copied = await copyTo(t, from, `${registry.host}/${ELSEWHERE}`, { client })
    const layers = built.files.reduce((sum, { size }) => sum + size, 0)
    const once = sent(before)
    assert.ok(linked ? once === 0 : once >= layers && once < layers + 64 * 1024, `${once} bytes of ${layers} went up`)
    assert.deepEqual(registry.sessions(), [])
    const again = registry.requests.length
    assert.deepEqual((await copyTo(t, from, `${registry.host}/${ELSEWHERE}`, { client })).outcome, copied.outcome)
    assert.equal(sent(again), 0)
    const { store, outcome: pulled } = await pullFrom(t, `${registry.host}/${ELSEWHERE}/sample:1.0.0`, { client })
    assert.equal(pulled.digest, outcome.digest)
    for (const file of built.files) {
      const [digest, size] = [`sha256:${file.digest.replace(/^sha256:/, '')}` as Digest, file.size]
      const stream = await store.open(
        { mediaType: OCTET_STREAM, digest, size },
        { signal: new AbortController().signal },
      )
      assert.deepEqual(await digestOfStream(stream), { digest, size })
    }
  })
}
