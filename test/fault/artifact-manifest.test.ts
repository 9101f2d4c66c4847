import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { rawManifest } from '../../src/content/manifest.ts'
import { OCI_ARTIFACT_MANIFEST, OCI_MANIFEST } from '../../src/content/media-types.ts'
import type { RegistryFact, RegistryFactStore } from '../../src/content/registry-facts.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { type ScriptEntry, startScriptedRegistry } from '../helpers/registries/scripted-registry.ts'

const { signal } = new AbortController()
const artifact = rawManifest(OCI_ARTIFACT_MANIFEST, Buffer.from(`{"mediaType":"${OCI_ARTIFACT_MANIFEST}"}`))
const image = rawManifest(OCI_MANIFEST, Buffer.from(`{"schemaVersion":2,"mediaType":"${OCI_MANIFEST}"}`))
const at = (digest: string) => `/v2/test/blobs/manifests/${digest}`

const json = (code: string): Pick<ScriptEntry, 'body'> => ({
  body: JSON.stringify({ errors: [{ code, message: 'no' }] }),
})
const put = (digest: string, answer: Partial<ScriptEntry> = { status: 201 }): ScriptEntry => ({
  method: 'PUT',
  path: at(digest),
  ...answer,
})

/** What is asked for as `auto`, and what was told and learnt on the way. */
async function bed(t: TestContext, script: readonly ScriptEntry[]) {
  const registry = await startScriptedRegistry(t, script)
  const saved: Record<string, RegistryFact | undefined> = {}
  const facts: RegistryFactStore = {
    load: async () => undefined,
    save: async (_, changes) => Boolean(Object.assign(saved, changes)),
  }
  const repository = await openRepository(t, registry.host, { facts })
  const told: (AppError | undefined)[] = []
  const either = () =>
    repository.putArtifactOrImage({ artifact, image }, { signal, onImage: (refusal) => void told.push(refusal) })
  return { registry, repository, either, told, saved }
}

/** oci-client.md G6, registries.md 22. */
const REFUSALS: Readonly<Record<string, Partial<ScriptEntry>>> = {
  '400 MANIFEST_INVALID (distribution)': { status: 400, ...json('MANIFEST_INVALID') },
  '400 UNSUPPORTED (ECR)': { status: 400, ...json('UNSUPPORTED') },
  '400 without a code': { status: 400, body: '{"errors":[{"status":400,"message":"bad manifest"}]}' },
  '404 in plain text': { status: 404, body: '404 page not found' },
  '404 MANIFEST_UNKNOWN': { status: 404, ...json('MANIFEST_UNKNOWN') },
  '404 with a web page': { status: 404, body: '<html>no</html>', answerHeaders: { 'content-type': 'text/html' } },
  '405 UNSUPPORTED': { status: 405, ...json('UNSUPPORTED') },
  '405 without a body': { status: 405 },
  '415 MANIFEST_INVALID (zot, Quay)': { status: 415, ...json('MANIFEST_INVALID') },
  '415 without a body': { status: 415 },
  '501 UNSUPPORTED (Gitea)': { status: 501, ...json('UNSUPPORTED') },
  '501 without a body': { status: 501 },
}

describe('a registry that takes no artifact manifests', () => {
  for (const [name, answer] of Object.entries(REFUSALS)) {
    test(`${name}: the image manifest goes instead, and the next time at once`, async (t) => {
      const refused = put(artifact.digest, answer)
      const { registry, either, told, saved } = await bed(t, [refused, put(image.digest), put(image.digest)])
      assert.equal(await either(), image)
      assert.equal(await either(), image)
      registry.check()
      assert.deepEqual(
        told.map((refusal) => refusal?.code),
        ['MANIFEST_UNSUPPORTED', undefined],
      )
      assert.deepEqual(saved, { artifactManifests: false })
    })

    test(`${name}: an artifact manifest that is asked for by itself is MANIFEST_UNSUPPORTED`, async (t) => {
      const { registry, repository, saved } = await bed(t, [put(artifact.digest, answer)])
      await assert.rejects(repository.putManifest(artifact.digest, artifact, { signal }), (error: AppError) => {
        assert.equal(error.code, 'MANIFEST_UNSUPPORTED')
        assert.equal(error.retry, 'permanent')
        assert.equal(error.upstream?.status, answer.status)
        assert.ok(error.message.startsWith(`${registry.host} takes no artifact manifests: push manifest: `))
        assert.match(error.hint ?? '', /"options\.manifest": "auto"/)
        return true
      })
      registry.check()
      assert.deepEqual(saved, {}, 'nothing proves yet that it was the kind of manifest')
    })
  }
})

const NAMES_A_BLOB = JSON.stringify({
  errors: [
    { code: 'MANIFEST_INVALID', message: 'no' },
    { code: 'MANIFEST_BLOB_UNKNOWN', message: 'no', detail: { digest: artifact.digest } },
  ],
})

/** What is said of any manifest: the job fails with it, and nothing is learnt. */
const OTHERS: ReadonlyArray<readonly [what: string, answer: Partial<ScriptEntry>, code: string]> = [
  ['400 MANIFEST_BLOB_UNKNOWN', { status: 400, ...json('MANIFEST_BLOB_UNKNOWN') }, 'REGISTRY_REJECTED'],
  ['400 MANIFEST_INVALID that goes on to name a blob', { status: 400, body: NAMES_A_BLOB }, 'REGISTRY_REJECTED'],
  ['404 MANIFEST_BLOB_UNKNOWN', { status: 404, ...json('MANIFEST_BLOB_UNKNOWN') }, 'REGISTRY_REJECTED'],
  ['404 BLOB_UNKNOWN', { status: 404, ...json('BLOB_UNKNOWN') }, 'BLOB_NOT_FOUND'],
  ['404 NAME_UNKNOWN', { status: 404, ...json('NAME_UNKNOWN') }, 'REGISTRY_NAME_UNKNOWN'],
  ['400 DIGEST_INVALID', { status: 400, ...json('DIGEST_INVALID') }, 'REGISTRY_REJECTED'],
  ['405 DENIED (Quay, read-only)', { status: 405, ...json('DENIED') }, 'REGISTRY_REJECTED'],
  ['403 DENIED', { status: 403, ...json('DENIED') }, 'REGISTRY_DENIED'],
  ['413', { status: 413 }, 'REGISTRY_REJECTED'],
  ['507', { status: 507 }, 'REGISTRY_SERVER_FAILED'],
  ['500 MANIFEST_INVALID', { status: 500, ...json('MANIFEST_INVALID') }, 'REGISTRY_REJECTED'],
]

describe('what a registry has against any manifest is no sign of the kind', () => {
  for (const [name, answer, code] of OTHERS) {
    test(name, async (t) => {
      const looked: ScriptEntry = { method: 'HEAD', path: at(artifact.digest), status: 404, repeat: true }
      const { registry, either, told, saved } = await bed(t, [put(artifact.digest, answer), looked])
      await assert.rejects(either(), { code })
      assert.equal(registry.requests.filter(({ method }) => method === 'PUT').length, 1)
      assert.deepEqual([told, saved], [[], {}])
    })
  }

  test('401 without a way to log in', async (t) => {
    const refused = put(artifact.digest, { status: 401, repeat: true, ...json('UNAUTHORIZED') })
    const { registry, either, told, saved } = await bed(t, [refused])
    await assert.rejects(either(), { code: 'REGISTRY_UNAUTHORIZED' })
    assert.ok(!registry.requests.some(({ path }) => path === at(image.digest)))
    assert.deepEqual([told, saved], [[], {}])
  })

  for (const status of [429, 503]) {
    test(`${status} passes, and the artifact manifest is sent again`, async (t) => {
      const busy = put(artifact.digest, { status, answerHeaders: { 'retry-after': '0' } })
      const { registry, either, told, saved } = await bed(t, [busy, put(artifact.digest)])
      assert.equal(await either(), artifact)
      registry.check()
      assert.deepEqual([told, saved], [[], { artifactManifests: true }])
    })
  }
})

test('a registry that refuses the image manifest too has taught nothing, and that refusal is told', async (t) => {
  const looked: ScriptEntry = { method: 'HEAD', path: at(image.digest), status: 404 }
  const invalid = { status: 400, ...json('MANIFEST_INVALID') }
  const { registry, either, told, saved } = await bed(t, [
    put(artifact.digest, invalid),
    put(image.digest, invalid),
    looked,
  ])
  await assert.rejects(either(), { code: 'REGISTRY_REJECTED' })
  registry.check()
  assert.equal(told.length, 1)
  assert.deepEqual(saved, {})
})

test('one that takes artifact manifests after all is believed from then on', async (t) => {
  const refused = put(artifact.digest, { status: 415 })
  const script = [refused, put(image.digest), put(artifact.digest), put(artifact.digest)]
  const { registry, repository, either, saved } = await bed(t, script)
  assert.equal(await either(), image)
  await repository.putManifest(artifact.digest, artifact, { signal })
  assert.deepEqual(saved, { artifactManifests: true })
  assert.equal(await either(), artifact)
  registry.check()
})

test('the guard is asked before each of the two, and stops the second', async (t) => {
  const { registry, repository, saved } = await bed(t, [put(artifact.digest, { status: 415 })])
  let asked = 0
  const guard = async () => {
    asked += 1
    if (asked > 1) throw new Error('fenced')
  }
  const options = { signal, guard, onImage: () => undefined }
  await assert.rejects(repository.putArtifactOrImage({ artifact, image }, options), /fenced/)
  registry.check()
  assert.deepEqual([asked, saved], [2, {}])
})

test('an image manifest that is refused with 415 or 501 is what it was: rejected', async (t) => {
  for (const status of [415, 501]) {
    const looked: ScriptEntry = { method: 'HEAD', path: at(image.digest), status: 404 }
    const { registry, repository } = await bed(t, [put(image.digest, { status }), looked])
    const code = status === 415 ? 'REGISTRY_REJECTED' : 'REGISTRY_SERVER_FAILED'
    await assert.rejects(repository.putManifest(image.digest, image, { signal }), { code, retry: 'permanent' })
    registry.check()
  }
})
