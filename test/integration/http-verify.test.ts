import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Job, Problem } from '../../src/jobs/model/definitions.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, packageFiles, pullFrom, putPackage, readPackage } from '../helpers/packages/pulling.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { createSigningKey } from '../helpers/trust/authority.ts'

const SIGNED = { path: FIXTURES.signedNemo, published: 'signedNemo' } as const
const DIGEST = digestOf(publishedManifest('signedNemo'))
const FOUND = {
  signed: true,
  signatures: [
    {
      form: 'bundle',
      key: { fingerprint: 'sha256:6d4822509ebd73be715140a86c7863352361ed5fd2325b24501ec1d7a10c5a65' },
      verified: null,
      reason: 'it was not checked: no key or identity was given',
    },
  ],
}

async function withSigned(t: TestContext) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  await fillRegistry(registry, { repository: 'team/signed', tag: '1.2.0' }, [SIGNED])
  const started = await startApp(t, { kinds: new Set(['publish', 'pull', 'copy', 'verify']) })
  const reference = `oci://${registry.host}/team/signed:1.2.0`
  const remote = (ref: string) => started.app.inject(`/v1/remote-packages/signatures?ref=${encodeURIComponent(ref)}`)
  return { ...started, registry, reference, remote }
}

test('what a package is signed with is told of a stored and of a remote one, and nothing is verified', async (t) => {
  const { app, store, registry, reference, remote } = await withSigned(t)
  await pullFrom(t, reference, { architecture: 'amd64', store })
  assert.deepEqual((await app.inject(`/v1/packages/${DIGEST}/signatures`)).json(), FOUND)
  registry.requests.length = 0
  assert.deepEqual((await remote(reference)).json(), FOUND)
  const { files } = await readPackage(FIXTURES.signedNemo)
  const fetched = registry.requests
    .filter(({ path }) => path.includes('/blobs/'))
    .map(({ path }) => path.split('/').at(-1) ?? '')
  const small = ['zarf.yaml', 'zarf.bundle.sig'].map((name) => digestOf(files.get(name) as Buffer))
  assert.deepEqual(fetched.toSorted(), small.toSorted())
})

test('of packages that are unsigned, garbage or gone there is a clear answer', async (t) => {
  const { app, registry, remote } = await withSigned(t)
  const layers = packageFiles({ 'components/one.tar': Buffer.from('one') })
  putPackage(registry, { repository: 'team/plain', tag: '1' }, layers)
  putPackage(registry, { repository: 'team/odd', tag: '1' }, [
    ...layers,
    { title: 'zarf.bundle.sig', bytes: Buffer.from('<html>') },
  ])
  putPackage(registry, { repository: 'team/huge', tag: '1' }, [
    ...layers,
    { title: 'zarf.bundle.sig', bytes: Buffer.alloc(10 * 1024 * 1024) },
  ])
  assert.deepEqual((await remote(`oci://${registry.host}/team/plain:1`)).json(), { signed: false, signatures: [] })
  const odd = (await remote(`oci://${registry.host}/team/odd:1`)).json<typeof FOUND>()
  assert.deepEqual(
    odd.signatures.map(({ form, verified }) => [form, verified]),
    [['bundle', false]],
  )
  const wrong: ReadonlyArray<[address: string, status: number, code: string]> = [
    [`/v1/remote-packages/signatures?ref=oci://${registry.host}/team/huge:1`, 422, 'SIGNATURE_INVALID'],
    [`/v1/remote-packages/signatures?ref=oci://${registry.host}/team/none:1`, 422, 'MANIFEST_NOT_FOUND'],
    [`/v1/remote-packages/signatures?ref=oci://${registry.host}/team/plain`, 400, 'REFERENCE_INVALID'],
    [`/v1/packages/sha256:${'0'.repeat(64)}/signatures`, 404, 'PACKAGE_NOT_STORED'],
  ]
  for (const [address, status, code] of wrong) {
    const answer = await app.inject(address)
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [status, code], address)
  }
})

test('a job that could never verify is not made, and the key is not repeated', async (t) => {
  const { app, reference } = await withSigned(t)
  const key = createSigningKey()
  const who = { san: 'a', issuer: 'b' }
  const secret = key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const cases: ReadonlyArray<[verify: object, code: string, pointer: string]> = [
    [{}, 'BODY_INVALID', '/options/verify'],
    [{ mode: 'sometimes', key: key.pem }, 'BODY_INVALID', '/options/verify/mode'],
    [{ key: key.pem, identity: who }, 'BODY_INVALID', '/options/verify'],
    [{ identity: { san: 'a' } }, 'BODY_INVALID', '/options/verify/identity/issuer'],
    [{ identityPattern: { san: '[', issuer: 'b' } }, 'BODY_INVALID', '/options/verify'],
    [{ identity: who, trustedRoot: '../root' }, 'BODY_INVALID', '/options/verify'],
    [{ key: 'garbage' }, 'KEY_INVALID', '/options/verify'],
    [{ key: secret }, 'KEY_INVALID', '/options/verify'],
  ]
  for (const kind of ['pull', 'verify']) {
    for (const [verify, code, pointer] of cases) {
      const answer = await app.inject({
        method: 'POST',
        url: '/v1/jobs',
        payload: { kind, source: reference, options: { verify } },
      })
      const problem = answer.json<Problem>()
      assert.deepEqual([answer.statusCode, problem.code, problem.errors?.[0]?.pointer], [400, code, pointer])
      assert.ok(!answer.body.includes(secret.split('\n')[1] as string))
    }
  }
})

test('a verify job names a reference, a stored package or one on this machine, and no destination', async (t) => {
  const { app, reference, root, store } = await withSigned(t)
  await pullFrom(t, reference, { store, architecture: 'amd64' })
  await copyFile(FIXTURES.signedNemo, join(root, basename(FIXTURES.signedNemo)))
  const post = (payload: object) =>
    app.inject({ method: 'POST', url: '/v1/jobs', payload: { kind: 'verify', ...payload } })
  for (const source of [reference, `store:${DIGEST}`, `file:${join(root, basename(FIXTURES.signedNemo))}`]) {
    const answer = await post({ source })
    assert.equal(answer.statusCode, 202, answer.body)
    const { source: kept, destination } = answer.json<Job>()
    assert.deepEqual([kept, destination], [source, null])
  }
  const cases: ReadonlyArray<[body: object, code: string, pointer: string | undefined]> = [
    [{ source: reference, destination: 'store:' }, 'BODY_INVALID', '/destination'],
    [{ source: 'store:sha256:12' }, 'REFERENCE_INVALID', '/source'],
    [{ source: `store:sha256:${'0'.repeat(64)}` }, 'PACKAGE_NOT_STORED', '/source'],
    [{ source: 'file:/etc/passwd' }, 'PACKAGE_OUTSIDE_ROOTS', '/source'],
    [{ source: 'upload:none' }, 'UPLOAD_NOT_FOUND', '/source'],
    [{ source: reference, options: { tag: 'x' } }, 'BODY_INVALID', '/options/tag'],
  ]
  for (const [body, code, pointer] of cases) {
    const answer = await post(body)
    const problem = answer.json<Problem>()
    assert.deepEqual([problem.code, problem.errors?.[0]?.pointer], [code, pointer], answer.body)
  }
  const headers = { 'x-registry-auth': Buffer.from('{"username":"a","password":"b"}').toString('base64url') }
  const login = await app.inject({
    method: 'POST',
    url: '/v1/jobs',
    headers,
    payload: { kind: 'verify', source: `store:${DIGEST}` },
  })
  assert.equal(login.json<Problem>().code, 'CREDENTIALS_INVALID')
  assert.match(login.json<Problem>().detail, /nothing to do with a registry/)
})
