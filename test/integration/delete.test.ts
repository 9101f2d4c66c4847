import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Digest, digestOf } from '../../src/content/digest.ts'
import { rawManifest } from '../../src/content/manifest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../src/content/media-types.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { bufferOpener } from '../../src/content/streams.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { referrersTag } from '../../src/oci/manifests/referrers.ts'
import type { Repository } from '../../src/oci/registry.ts'
import { deleteFrom, goneIn, memoryNotes } from '../helpers/packages/deleting.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { type DockerRegistry, registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'

const { signal } = new AbortController()
const INDEX = digestOf(publishedIndex('nemo'))
const AMD64 = digestOf(publishedManifest('nemo'))
const ARM64 = digestOf(publishedManifest('nemo', 'arm64'))
type Cleaned = Parameters<typeof startDockerRegistry>[0]

/** nemo for both architectures under 1.2.0. */
async function filled(t: Cleaned, registry: DockerRegistry) {
  for (const path of [FIXTURES.nemoAmd64, FIXTURES.nemoArm64]) {
    await publishTo(t, path, parseDestination(`${registry.host}/team`))
  }
  const repository = await openRepository(t, registry.host, { repository: 'team/nemo' })
  return { repository, reference: `oci://${registry.host}/team/nemo` }
}

async function retag(repository: Repository, tag: string, to: string): Promise<void> {
  const raw = await repository.getManifest(tag, { signal })
  assert.ok(raw)
  await repository.putManifest(to, raw, { signal })
}

const is = async (repository: Repository, ...names: string[]): Promise<boolean[]> =>
  Promise.all(names.map(async (name) => (await repository.headManifest(name, { signal })) !== undefined))

/** A signature of this manifest, as clients leave it where the registry keeps no lists: also in the list under the fallback tag. */
async function sign(repository: Repository, subject: Digest, more: object = {}): Promise<Digest> {
  const empty = Buffer.from('{}')
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(empty), size: 2 }
  await repository.push(config, bufferOpener(empty), { signal })
  const body = { schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: 'application/x.signature', config }
  const about = { mediaType: OCI_INDEX, digest: subject, size: 1 }
  const bytes = Buffer.from(JSON.stringify({ ...body, layers: [config], subject: about, ...more }))
  const raw = rawManifest(OCI_MANIFEST, bytes)
  await repository.putManifest(raw.digest, raw, { signal })
  const entry = { mediaType: OCI_MANIFEST, digest: raw.digest, size: bytes.length }
  const there = await repository.getManifest(referrersTag(subject), { signal })
  const known = there ? (JSON.parse(there.bytes.toString()) as { manifests: object[] }).manifests : []
  const list = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [...known, entry] }
  await repository.putManifest(referrersTag(subject), rawManifest(OCI_INDEX, Buffer.from(JSON.stringify(list))), {
    signal,
  })
  return raw.digest
}

for (const program of registryPrograms()) {
  describe(`at ${program}`, () => {
    test('a tag goes, with its index and its packages; what a dry run lists is what goes', async (t) => {
      const { repository, reference } = await filled(t, await startDockerRegistry(t, { program }))
      const planned = await deleteFrom(t, `${reference}:1.2.0`, { dryRun: true })
      assert.deepEqual(await is(repository, '1.2.0', INDEX, AMD64, ARM64), [true, true, true, true])
      const { outcome, told } = await deleteFrom(t, `${reference}:1.2.0`)
      assert.deepEqual(await is(repository, '1.2.0', INDEX, AMD64, ARM64), [false, false, false, false])
      assert.deepEqual(await repository.tags({ signal }), [])
      assert.deepEqual(goneIn(outcome), goneIn(planned.outcome))
      assert.deepEqual(
        goneIn(outcome),
        [`manifest ${AMD64}`, `manifest ${ARM64}`, `manifest ${INDEX}`, 'tag 1.2.0'].toSorted(),
      )
      assert.deepEqual([outcome.digest, outcome.kept, outcome.problems, told.length], [INDEX, [], [], 4])
      const error = await deleteFrom(t, `${reference}:1.2.0`).catch((thrown: AppError) => thrown)
      assert.equal((error as AppError).code, 'MANIFEST_NOT_FOUND')
    })

    test('another tag of the same index keeps all of it, and one of another index what both name', async (t) => {
      const { repository, reference } = await filled(t, await startDockerRegistry(t, { program }))
      await retag(repository, '1.2.0', 'stable')
      const first = await deleteFrom(t, `${reference}:1.2.0`)
      assert.deepEqual(goneIn(first.outcome), ['tag 1.2.0'])
      assert.deepEqual(await is(repository, '1.2.0', 'stable', INDEX, AMD64, ARM64), [false, true, true, true, true])
      await deleteFrom(t, `${reference}:stable`, { architectures: ['arm64'] })
      const rest = await repository.getManifest('stable', { signal })
      assert.ok(rest)
      await repository.putManifest('other', rest, { signal })
      const list = JSON.parse(rest.bytes.toString()) as { manifests: object[]; annotations?: object }
      const more = rawManifest(OCI_INDEX, Buffer.from(JSON.stringify({ ...list, annotations: { more: 'yes' } })))
      await repository.putManifest('more', more, { signal })
      const { outcome } = await deleteFrom(t, `${reference}:more`)
      assert.deepEqual(goneIn(outcome), [`manifest ${more.digest}`, 'tag more'])
      assert.deepEqual(await is(repository, 'stable', 'other', AMD64), [true, true, true])
    })

    test('one architecture goes out of the index, whose other bytes stay; with the last one the tag goes', async (t) => {
      const { repository, reference } = await filled(t, await startDockerRegistry(t, { program }))
      const planned = await deleteFrom(t, `${reference}:1.2.0`, { architectures: ['arm64'], dryRun: true })
      const locked: string[] = []
      const { outcome } = await deleteFrom(t, `${reference}:1.2.0`, {
        architectures: ['arm64'],
        lockTag(where, task) {
          locked.push(where)
          return task(signal)
        },
      })
      assert.deepEqual(locked, [`${reference}:1.2.0`])
      assert.deepEqual(goneIn(outcome), [`entry ${ARM64}`, `manifest ${ARM64}`, `manifest ${INDEX}`].toSorted())
      assert.deepEqual(goneIn(planned.outcome), goneIn(outcome))
      const left = JSON.parse((await repository.getManifest('1.2.0', { signal }))?.bytes.toString() ?? '') as object
      const before = JSON.parse(publishedIndex('nemo').toString()) as { manifests: { digest: string }[] }
      assert.deepEqual(left, { ...before, manifests: before.manifests.filter(({ digest }) => digest === AMD64) })
      assert.deepEqual(await is(repository, AMD64, ARM64, INDEX), [true, false, false])
      const last = await deleteFrom(t, `${reference}:1.2.0`, { architectures: ['amd64'] })
      assert.ok(goneIn(last.outcome).includes('tag 1.2.0'))
      assert.deepEqual(await is(repository, '1.2.0', AMD64), [false, false])
    })

    test('by its digest goes what no tag leads to, and nothing else', async (t) => {
      const { repository, reference } = await filled(t, await startDockerRegistry(t, { program }))
      for (const digest of [AMD64, INDEX]) {
        const error = (await deleteFrom(t, `${reference}@${digest}`).catch((thrown: unknown) => thrown)) as AppError
        assert.deepEqual([error.code, error.details?.['tags']], ['MANIFEST_IN_USE', ['1.2.0']])
      }
      await deleteFrom(t, `${reference}:1.2.0`, { architectures: ['arm64'] })
      await repository.putManifest(ARM64, rawManifest(OCI_MANIFEST, publishedManifest('nemo', 'arm64')), { signal })
      const { outcome } = await deleteFrom(t, `${reference}@${ARM64}`)
      assert.deepEqual(goneIn(outcome), [`manifest ${ARM64}`])
      assert.deepEqual(await is(repository, '1.2.0', AMD64, ARM64), [true, true, false])
    })

    test('signatures go along, and their list; those of what stays stay', async (t) => {
      const { repository, reference } = await filled(t, await startDockerRegistry(t, { program }))
      const [ofIndex, ofAmd64] = [await sign(repository, INDEX), await sign(repository, AMD64)]
      const ofSignature = await sign(repository, ofAmd64, { annotations: { about: 'a signature' } })
      const cosign = `${referrersTag(AMD64)}.sig`
      await retag(repository, referrersTag(AMD64), cosign)
      const { outcome } = await deleteFrom(t, `${reference}:1.2.0`, { architectures: ['arm64'] })
      assert.deepEqual(await is(repository, ofIndex, referrersTag(INDEX)), [false, false])
      assert.deepEqual(await is(repository, ofAmd64, ofSignature, cosign, referrersTag(AMD64)), [
        true,
        true,
        true,
        true,
      ])
      assert.ok(goneIn(outcome).includes(`tag ${referrersTag(INDEX)}`))
      const planned = await deleteFrom(t, `${reference}:1.2.0`, { dryRun: true })
      const last = await deleteFrom(t, `${reference}:1.2.0`)
      assert.deepEqual(goneIn(last.outcome), goneIn(planned.outcome))
      assert.deepEqual(await repository.tags({ signal }), [])
      assert.deepEqual(await is(repository, ofAmd64, ofSignature), [false, false])
    })

    test('a manifest stays while a tag leads to what refers to it', async (t) => {
      const { repository, reference } = await filled(t, await startDockerRegistry(t, { program }))
      const signature = await sign(repository, AMD64)
      await retag(repository, signature, 'signature-of-1.2.0')
      const { outcome } = await deleteFrom(t, `${reference}:1.2.0`)
      assert.deepEqual(goneIn(outcome), [`manifest ${ARM64}`, `manifest ${INDEX}`, 'tag 1.2.0'].toSorted())
      assert.deepEqual(await is(repository, AMD64, signature, referrersTag(AMD64)), [true, true, true])
      assert.deepEqual(
        outcome.kept.map(({ digest }) => digest),
        [AMD64],
      )
    })

    test('a signature that goes by its digest leaves the list', async (t) => {
      const { repository, reference } = await filled(t, await startDockerRegistry(t, { program }))
      const [one, other] = [await sign(repository, AMD64), await sign(repository, AMD64, { annotations: { n: '2' } })]
      const first = await deleteFrom(t, `${reference}@${one}`)
      assert.deepEqual(await is(repository, one, other, AMD64), [false, true, true])
      assert.deepEqual(
        (await repository.referrers(AMD64, { signal })).referrers.map(({ digest }) => digest),
        [other],
      )
      assert.ok(goneIn(first.outcome).includes(`manifest ${one}`))
      await deleteFrom(t, `${reference}@${other}`)
      assert.deepEqual(await repository.tags({ signal }), ['1.2.0'])
    })

    test('where the registry deletes nothing, nothing is changed, and what can be done is said', async (t) => {
      const registry = await startDockerRegistry(t, { program, deleteEnabled: false })
      const { repository, reference } = await filled(t, registry)
      await retag(repository, '1.2.0', 'stable')
      const error = (await deleteFrom(t, `${reference}:1.2.0`).catch((thrown: unknown) => thrown)) as AppError
      assert.equal(error.code, 'REGISTRY_DELETE_UNSUPPORTED')
      assert.match(error.message, /does not delete tags by their names .*1\.2\.0.* 40[05]/)
      assert.match(error.hint ?? '', /REGISTRY_STORAGE_DELETE_ENABLED/)
      for (const tag of ['1.2.0', 'stable'])
        assert.equal((await repository.getManifest(tag, { signal }))?.digest, INDEX)
      assert.deepEqual(await is(repository, INDEX, AMD64, ARM64), [true, true, true])
    })

    test('a run that was cut off is finished by the next one', async (t) => {
      const { repository, reference } = await filled(t, await startDockerRegistry(t, { program }))
      const notes = memoryNotes()
      const cut = new AbortController()
      const run = deleteFrom(t, `${reference}:1.2.0`, {
        notes,
        signal: cut.signal,
        onEvent: ({ type }) => type === 'complete' && cut.abort(new Error('cut off')),
      })
      await assert.rejects(run)
      assert.deepEqual(await is(repository, '1.2.0', INDEX, AMD64), [false, false, true])
      const { outcome } = await deleteFrom(t, `${reference}:1.2.0`, { notes })
      assert.deepEqual(await is(repository, AMD64, ARM64), [false, false])
      assert.deepEqual(
        goneIn(outcome),
        [`manifest ${AMD64}`, `manifest ${ARM64}`, `manifest ${INDEX}`, 'tag 1.2.0'].toSorted(),
      )
    })
  })
}
