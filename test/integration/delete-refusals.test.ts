import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { OCI_INDEX } from '../../src/content/media-types.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { deleteFrom, type DeleteFromOptions, goneIn } from '../helpers/packages/deleting.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'
import { createFakeRegistry, type FakeRegistry } from '../helpers/registries/kit/fake-registry.ts'
import { type ProfileName, profile } from '../helpers/registries/kit/profiles.ts'
import type { Overrides } from '../helpers/registries/kit/ways.ts'

const INDEX = digestOf(publishedIndex('nemo'))
const AMD64 = digestOf(publishedManifest('nemo'))
const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const
const UNSUPPORTED = { status: 405, code: 'UNSUPPORTED', message: 'The operation is unsupported.' } as const
const NONE: Overrides = {
  auth: { kind: 'none' },
  repositories: 'made',
}

async function filled(t: { after(work: () => Promise<void>): void }, name: ProfileName, more: Overrides = {}) {
  const registry = await createFakeRegistry({ ways: profile(name, NONE, more) })
  t.after(() => registry.close())
  await fillRegistry(registry as never, { repository: 'team/nemo', tag: '1.2.0' }, [
    NEMO,
    { ...NEMO, path: FIXTURES.nemoArm64, architecture: 'arm64' },
  ])
  registry.manifests.put('team/nemo', 'stable', OCI_INDEX, publishedIndex('nemo'))
  return { registry, reference: `oci://${registry.host}/team/nemo` }
}

const under = (registry: FakeRegistry, tag: string) => registry.manifests.get('team/nemo', tag)?.digest
const refused = async (t: Parameters<typeof deleteFrom>[0], reference: string, options: DeleteFromOptions = {}) =>
  (await deleteFrom(t, reference, options).then(
    () => assert.fail('it was deleted'),
    (error: unknown) => error,
  )) as AppError

describe('registries that delete in ways of their own', () => {
  for (const name of ['dist28', 'harbor', 'acr'] as const) {
    test(`${name} deletes digests alone, with all their tags: only the tag goes while another has the same`, async (t) => {
      const { registry, reference } = await filled(t, name)
      const first = await deleteFrom(t, `${reference}:1.2.0`)
      assert.deepEqual(goneIn(first.outcome), ['tag 1.2.0'])
      assert.deepEqual([under(registry, '1.2.0'), under(registry, 'stable')], [undefined, INDEX])
      assert.ok(under(registry, AMD64))
      const deleted = registry.requests.filter(({ method, status = 0 }) => method === 'DELETE' && status < 300)
      assert.equal(deleted.length, 1, 'the empty manifest that was put there')
      const last = await deleteFrom(t, `${reference}:stable`)
      assert.ok(goneIn(last.outcome).includes(`manifest ${AMD64}`))
      assert.deepEqual(
        [under(registry, 'stable'), under(registry, INDEX), under(registry, AMD64)],
        [undefined, undefined, undefined],
      )
    })
  }

  for (const name of ['dist3', 'zot', 'quay', 'gitlab', 'gitea', 'artifactory'] as const) {
    test(`${name} deletes tags by their names`, async (t) => {
      const { registry, reference } = await filled(t, name)
      await deleteFrom(t, `${reference}:1.2.0`)
      assert.deepEqual([under(registry, '1.2.0'), under(registry, 'stable')], [undefined, INDEX])
      assert.deepEqual(
        registry.requests.filter(({ method }) => method === 'PUT'),
        [],
      )
    })
  }

  test('one that deletes nothing (GHCR) is told so, with what to do, and nothing was written', async (t) => {
    const { registry, reference } = await filled(t, 'ghcr', {
      manifests: { deleteTag: UNSUPPORTED, deleteManifest: UNSUPPORTED },
    })
    const error = await refused(t, `${reference}:1.2.0`)
    assert.equal(error.code, 'REGISTRY_DELETE_UNSUPPORTED')
    assert.equal(error.upstream?.status, 405)
    assert.deepEqual([under(registry, '1.2.0'), under(registry, 'stable')], [INDEX, INDEX])
    assert.deepEqual(
      registry.requests.filter(({ method }) => method === 'PUT' || method === 'POST'),
      [],
    )
  })

  test('one that knows no such page (ECR before 2023) is not taken for one that has deleted', async (t) => {
    const page = { status: 404, style: 'text', message: '404 page not found\n' } as const
    const { registry, reference } = await filled(t, 'ecr', { manifests: { deleteTag: page, deleteManifest: page } })
    const error = await refused(t, `${reference}:1.2.0`)
    assert.equal(error.code, 'REGISTRY_DELETE_UNSUPPORTED')
    assert.deepEqual([under(registry, '1.2.0'), under(registry, 'stable')], [INDEX, INDEX])
  })

  test('what was put under the tag is taken back where it may not go (Docker Hub: what a tag names stays)', async (t) => {
    const { registry, reference } = await filled(t, 'dockerhub', { manifests: { deleteTag: UNSUPPORTED } })
    registry.fail(
      { method: 'DELETE', path: /sha256:/, nth: 2, times: 9 },
      {
        kind: 'answer',
        status: 403,
        headers: { 'content-type': 'application/json' },
        body: '{"errors":[{"code":"DENIED","message":"the manifest is referenced by a tag"}]}',
      },
    )
    const error = await refused(t, `${reference}:1.2.0`)
    assert.equal(error.upstream?.status, 403)
    assert.deepEqual([under(registry, '1.2.0'), under(registry, 'stable')], [INDEX, INDEX])
  })

  test('a tag that may not go says so, and stays', async (t) => {
    const { registry, reference } = await filled(t, 'harbor', {
      manifests: { deleteTag: { status: 412, code: 'PRECONDITION', message: 'configured as immutable' } },
    })
    assert.equal((await refused(t, `${reference}:1.2.0`)).code, 'TAG_IMMUTABLE')
    assert.equal(under(registry, '1.2.0'), INDEX)
  })

  test('where tags cannot be listed the tag goes, and its manifests stay, which is said', async (t) => {
    const { registry, reference } = await filled(t, 'dist3')
    registry.fail({ path: /tags\/list/, times: 99 }, { kind: 'answer', status: 403, body: '' })
    const { outcome } = await deleteFrom(t, `${reference}:1.2.0`)
    assert.deepEqual(goneIn(outcome), ['tag 1.2.0'])
    assert.deepEqual(
      outcome.problems.map(({ code }) => code),
      ['REGISTRY_DENIED'],
    )
    assert.ok(under(registry, INDEX))
    assert.equal((await refused(t, `${reference}@${INDEX}`)).code, 'REGISTRY_DENIED')
  })
})

describe('others write meanwhile', () => {
  test('what was published under the tag meanwhile stays', async (t) => {
    const { registry, reference } = await filled(t, 'dist3')
    const other = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [], annotations: { n: '2' } }),
    )
    const { outcome } = await deleteFrom(t, `${reference}:1.2.0`, {
      lockTag(_, task) {
        registry.manifests.put('team/nemo', '1.2.0', OCI_INDEX, other)
        return task(new AbortController().signal)
      },
    })
    assert.deepEqual(goneIn(outcome), [])
    assert.equal(under(registry, '1.2.0'), digestOf(other))
    assert.ok(outcome.kept.some(({ tag, why }) => tag === '1.2.0' && /meanwhile/.test(why)))
  })

  test('what a new tag names by then stays, and what one comes to name while it goes is put back', async (t) => {
    const { registry, reference } = await filled(t, 'dist3')
    await deleteFrom(t, `${reference}:stable`)
    const named = JSON.parse(publishedIndex('nemo').toString()) as { manifests: { digest: string }[] }
    const one = (digest: string) =>
      Buffer.from(JSON.stringify({ ...named, manifests: named.manifests.filter((entry) => entry.digest === digest) }))
    const arm64 = digestOf(publishedManifest('nemo', 'arm64'))
    const { outcome, events } = await deleteFrom(t, `${reference}:1.2.0`, {
      onEvent(event) {
        if (event.type !== 'log' || !event.message.startsWith('deleted')) return
        // After the first look; and after the last one.
        if (/the tag/.test(event.message)) registry.manifests.put('team/nemo', 'arm', OCI_INDEX, one(arm64))
        if (event.message.includes(AMD64)) registry.manifests.put('team/nemo', 'amd', OCI_INDEX, one(AMD64))
      },
    })
    assert.deepEqual(goneIn(outcome), [`manifest ${INDEX}`, 'tag 1.2.0'])
    assert.ok(under(registry, AMD64))
    assert.ok(under(registry, arm64))
    assert.ok(events.some((event) => event.type === 'warning' && event.code === 'MANIFEST_RESTORED'))
  })
})
