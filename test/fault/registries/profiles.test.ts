import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Digest } from '../../../src/content/digest.ts'
import type { MountAnswer } from '../../../src/content/endpoints.ts'
import { OCTET_STREAM } from '../../../src/content/media-types.ts'
import { parseDestination } from '../../../src/content/reference.ts'
import { type BuiltPackage, buildPackage } from '../../helpers/packages/package-builder.ts'
import { digestOfStream } from '../../helpers/packages/packages.ts'
import { publishTo } from '../../helpers/packages/publishing.ts'
import { pullFrom } from '../../helpers/packages/pulling.ts'
import { CleanupStack } from '../../helpers/cleanup.ts'
import { recorder, someBytes, testBlob } from '../../helpers/registries/oci-client.ts'
import { PROFILE_NAMES, type ProfileName } from '../../helpers/registries/kit/profiles.ts'
import { NAMESPACE, OTHER, profileScene, REPOSITORY } from '../../helpers/registries/kit/scene.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const LARGE = someBytes(20 * MIB)

/** What is left of a request that breaks off after 12 MiB. Source: registries.md 1 and 20. */
const CUTS: Record<ProfileName, 'goes on at the byte' | 'begins anew'> = {
  dockerhub: 'begins anew',
  ecr: 'begins anew',
  'ecr-public': 'begins anew',
  ghcr: 'goes on at the byte',
  harbor: 'begins anew',
  quay: 'begins anew',
  acr: 'begins anew',
  gar: 'begins anew',
  gitlab: 'begins anew',
  artifactory: 'begins anew',
  nexus: 'begins anew',
  zot: 'begins anew',
  gitea: 'begins anew',
  forgejo: 'begins anew',
  digitalocean: 'begins anew',
  pulp: 'begins anew',
  olareg: 'goes on at the byte',
  cloudflare: 'begins anew',
  dist28: 'begins anew',
  dist3: 'goes on at the byte',
}

/** What nobody has seen or documented: a look at the real registry keeps these, or takes them away. */
const ASSUMED: Partial<Record<ProfileName, string>> = {
  dockerhub: 'assumption:dockerhub:3',
  ecr: 'assumption:ecr:8',
  'ecr-public': 'assumption:ecr-public:cut',
  ghcr: 'assumption:ghcr:cut',
  acr: 'assumption:acr:cut',
  gar: 'assumption:gar:4',
  gitlab: 'assumption:gitlab:cut',
  artifactory: 'assumption:artifactory:cut',
  nexus: 'assumption:nexus:cut',
  forgejo: 'assumption:forgejo:cut',
  digitalocean: 'assumption:digitalocean:cut',
  pulp: 'assumption:pulp:cut',
}

/** Who links nothing from a repository that is named. */
const NO_MOUNTS: readonly ProfileName[] = ['ecr', 'ecr-public', 'artifactory']

const sha256 = (hex: string) => `sha256:${hex.replace(/^sha256:/, '')}` as Digest
const stack = new CleanupStack()
let built: BuiltPackage
before(async () => {
  // One layer in one request, one in two, one that is streamed.
  built = await buildPackage(await tempDir(stack, 'profiles'), {
    format: 'tar',
    layers: 2,
    layerBytes: [4096, 9 * MIB],
  })
})
after(async () => stack[Symbol.asyncDispose]())

for (const name of PROFILE_NAMES) {
  describe(name, () => {
    test('a package goes up, comes back byte for byte, and is not sent twice', async (t) => {
      const { registry, client, sent } = await profileScene(t, name)
      const destination = parseDestination(`${registry.host}/${NAMESPACE}`)
      const { outcome } = await publishTo(t, built.path, destination, { client })
      for (const { digest, path } of built.files) {
        assert.ok(registry.blob(REPOSITORY, sha256(digest)), path)
      }
      const before = registry.requests.length
      const again = await publishTo(t, built.path, destination, { client })
      assert.deepEqual(again.outcome, outcome)
      assert.equal(sent(before), 0)
      const { store } = await pullFrom(t, `${registry.host}/${REPOSITORY}:1.0.0`, { client })
      for (const file of built.files) {
        const [digest, size] = [sha256(file.digest), file.size]
        const stream = await store.open({ mediaType: OCTET_STREAM, digest, size }, { signal })
        assert.deepEqual(await digestOfStream(stream), { digest, size })
      }
    })

    const assumed = ASSUMED[name] === undefined ? '' : ` [${ASSUMED[name]}]`
    test(`a layer that breaks off midway ${CUTS[name]}${assumed}`, async (t) => {
      const { registry, repository, sent } = await profileScene(t, name)
      registry.fail({ withBody: true }, { kind: 'cut-request', afterBytes: 12 * MIB })
      const blob = testBlob(LARGE)
      const told = recorder()
      const target = await repository()
      await target.push(blob.descriptor, blob.open, { signal, onEvent: told.onEvent })
      await target.releasePush()
      assert.ok(registry.blob(REPOSITORY, blob.descriptor.digest)?.equals(blob.bytes))
      assert.deepEqual(told.starts(), [0, CUTS[name] === 'begins anew' ? 0 : 12 * MIB])
      assert.equal(sent(), (CUTS[name] === 'begins anew' ? 32 : 20) * MIB)
      assert.deepEqual(registry.sessions(), [])
    })

    test('a layer of another repository is linked, or sent at the session that the refusal opened', async (t) => {
      const { registry, repository, sent } = await profileScene(t, name)
      const blob = testBlob(someBytes(100_000))
      registry.putBlob(OTHER, blob.bytes)
      const answers: MountAnswer[] = []
      const mountFrom = [{ repository: OTHER, answered: (answer: MountAnswer) => void answers.push(answer) }]
      const target = await repository()
      await target.push(blob.descriptor, blob.open, { signal, mountFrom })
      const refuses = NO_MOUNTS.includes(name)
      assert.deepEqual(answers, [refuses ? 'refused' : 'mounted'])
      assert.equal(sent(), refuses ? blob.bytes.length : 0)
      assert.ok(registry.blob(REPOSITORY, blob.descriptor.digest)?.equals(blob.bytes))
      assert.equal(registry.uploads.opened, refuses ? 1 : 0)
    })
  })
}
