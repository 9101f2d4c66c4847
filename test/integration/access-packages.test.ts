import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import type { StoredPackage } from '../../src/http/schemas/package.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry, pullFrom } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { ask, told, tokensFor, WORKS } from '../helpers/streams/principals.ts'

const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo', architecture: 'amd64' } as const
const DIGEST = digestOf(publishedManifest('nemo'))
const NONE = `sha256:${'0'.repeat(64)}`

/** nemo in the store: ada pulled all of it from team/, bob what describes it from other/. */
async function withNemo(t: TestContext) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const reference = (team: string) => `${registry.host}/${team}/nemo:1.2.0`
  for (const team of ['team', 'other']) {
    await fillRegistry(registry, { repository: `${team}/nemo`, tag: '1.2.0' }, [NEMO])
  }
  const tokensFile = await tokensFor(t, {
    ada: WORKS,
    bob: WORKS,
    eve: WORKS,
    team: `${WORKS} repositories=${registry.host}/team/**`,
    elsewhere: `${WORKS} repositories=registry.example/**`,
    kinds: `${WORKS} kinds=pull,publish,verify`,
    sight: `${WORKS},system:read`,
    admin: '*',
  })
  const started = await startApp(t, { tokensFile, kinds: new Set(['publish', 'verify', 'pull']) })
  const { store } = started
  await pullFrom(t, reference('team'), { architecture: 'amd64', store, owner: 'ada' })
  await pullFrom(t, reference('other'), { architecture: 'amd64', store, owner: 'bob', metadataOnly: true })
  return { ...started, registry, from: (team: string) => `oci://${reference(team)}` }
}

const jobOf = (digest: string, kind: string) => ({
  method: 'POST' as const,
  url: '/v1/jobs',
  payload: {
    kind,
    source: `store:${digest}`,
    ...(kind === 'publish' ? { destination: 'oci://registry.example/team' } : {}),
  },
})

/** Every way to name a stored package. */
const WAYS = (digest: string) => [
  { url: `/v1/packages/${digest}` },
  { url: `/v1/packages/${digest}/definition` },
  { url: `/v1/packages/${digest}/components` },
  { url: `/v1/packages/${digest}/sboms` },
  { url: `/v1/packages/${digest}/signatures` },
  { url: `/v1/packages/${digest}/archive` },
  { url: `/v1/packages/${digest}/archive`, headers: { 'if-none-match': '*', range: 'bytes=0-9' } },
  { method: 'HEAD' as const, url: `/v1/packages/${digest}/archive` },
  { url: `/v1/bundles?ref=store:${digest}` },
  jobOf(digest, 'publish'),
  jobOf(digest, 'verify'),
  { method: 'DELETE' as const, url: `/v1/packages/${digest}` },
]

test('a package that only others pulled answers as one that is not there, whatever is asked of it', async (t) => {
  const { app } = await withNemo(t)
  for (const who of ['eve', 'elsewhere', 'kinds']) {
    for (const [at, way] of WAYS(DIGEST).entries()) {
      const hidden = await ask(app, who, way)
      assert.equal(hidden.statusCode, 404, `${who} ${way.url} ${hidden.body}`)
      const absent = await ask(app, who, WAYS(NONE)[at] as typeof way)
      assert.deepEqual(told(hidden, DIGEST), told(absent, NONE), `${who} ${way.url}`)
    }
    assert.deepEqual((await ask(app, who, { url: '/v1/packages' })).json(), { items: [] })
  }
  for (const way of WAYS(DIGEST).slice(0, -1)) {
    assert.notEqual((await ask(app, 'ada', way)).statusCode, 404, way.url)
  }
})

test('each sees what its own pulls brought; a token for the repositories, and who sees the system, what it covers', async (t) => {
  const { app, from } = await withNemo(t)
  const shown = async (who: string) => {
    const one = (await ask(app, who, { url: `/v1/packages/${DIGEST}` })).json<StoredPackage>()
    assert.deepEqual((await ask(app, who, { url: '/v1/packages' })).json<{ items: unknown }>().items, [one], who)
    const archive = await ask(app, who, { url: `/v1/packages/${DIGEST}/archive` })
    return [one.owners, one.references, one.complete, archive.statusCode]
  }
  const whole = [['ada'], [from('team')], true, 200]
  assert.deepEqual(await shown('ada'), whole)
  assert.deepEqual(await shown('team'), whole)
  assert.deepEqual(await shown('bob'), [['bob'], [from('other')], false, 409])
  for (const who of ['sight', 'admin']) {
    assert.deepEqual(await shown(who), [['ada', 'bob'], [from('team'), from('other')], true, 200])
  }
  const bobs = await ask(app, 'bob', { url: `/v1/packages/${DIGEST}/archive?metadataOnly=true` })
  assert.equal(bobs.statusCode, 200)
  for (const kind of ['publish', 'verify']) {
    const asked = async (who: string) => {
      const answer = await ask(app, who, jobOf(DIGEST, kind))
      return [answer.statusCode, answer.json<Problem>().code]
    }
    assert.deepEqual(await asked('bob'), [409, 'PACKAGE_INCOMPLETE'])
    assert.deepEqual(await asked('ada'), [202, undefined])
  }
})

test("DELETE drops one's own pulls; those of others go by who covers them, and by an administrator", async (t) => {
  const { app, store, from } = await withNemo(t)
  const remove = async (who: string) => {
    const answer = await ask(app, who, { method: 'DELETE', url: `/v1/packages/${DIGEST}` })
    return [answer.statusCode, answer.statusCode === 204 ? '' : answer.json<Problem>().code]
  }
  const owners = async () => (await store.packages.get(DIGEST))?.owners?.map(({ name }) => name)
  assert.deepEqual(await remove('sight'), [403, 'SCOPE_MISSING'])
  assert.deepEqual(await remove('ada'), [204, ''])
  assert.deepEqual(await owners(), ['bob'])
  assert.deepEqual(await remove('ada'), [404, 'PACKAGE_NOT_STORED'])
  assert.deepEqual(await remove('team'), [404, 'PACKAGE_NOT_STORED'])
  const pull = (owner: string) => pullFrom(t, from('team'), { architecture: 'amd64', store, owner })
  await pull('ada')
  assert.deepEqual(await remove('team'), [204, ''])
  assert.deepEqual(await owners(), ['bob'])
  await pull('ada')
  await pull('admin')
  assert.deepEqual(await remove('admin'), [204, ''], 'its own first')
  assert.deepEqual(await owners(), ['bob', 'ada'])
  assert.deepEqual(await remove('admin'), [204, ''], 'then all of it')
  assert.deepEqual(await store.packages.list(), [])
})

test('a transient package goes by who may change it alone', async (t) => {
  const { app, store, from, listen } = await withNemo(t)
  const holder = '01900000-0000-7000-8000-000000000000'
  await store.packages.delete(DIGEST)
  await pullFrom(t, from('team'), { architecture: 'amd64', store, owner: 'ada', holder })
  const base = await listen()
  const fetched = async (who: string) => {
    const url = `${base}/v1/packages/${DIGEST}/archive?forJob=${holder}`
    await (await fetch(url, { headers: { authorization: `Bearer token-of-${who}` } })).arrayBuffer()
  }
  await fetched('sight')
  await fetched('eve')
  assert.equal((await ask(app, 'ada', { url: `/v1/packages/${DIGEST}` })).json<StoredPackage>().transient, true)
  await fetched('ada')
  await waitFor('the package to go', async () => (await store.packages.get(DIGEST)) === undefined)
})

test('a package of before owners is of anonymous, whom everybody is where no token is asked for', async (t) => {
  const { registry, store, app } = await withNemo(t)
  await store.packages.delete(DIGEST)
  await pullFrom(t, `${registry.host}/team/nemo:1.2.0`, { architecture: 'amd64', store })
  assert.equal((await ask(app, 'ada', { url: `/v1/packages/${DIGEST}` })).statusCode, 404)
  const open = await startApp(t, { store })
  const { owners } = (await open.app.inject(`/v1/packages/${DIGEST}`)).json<StoredPackage>()
  assert.deepEqual(owners, ['anonymous'])
  assert.equal((await open.app.inject({ method: 'DELETE', url: `/v1/packages/${DIGEST}` })).statusCode, 204)
})

test('a worker pulls for who asked, and reads for a job what its owner pulled', async (t) => {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  for (const team of ['team', 'other']) {
    await fillRegistry(registry, { repository: `${team}/nemo`, tag: '1.2.0' }, [NEMO])
  }
  const system = await startJobSystem(t, { roots: [] })
  await system.worker('one')
  const pull = async (team: string, principal: string, options = {}) => {
    const source = `oci://${registry.host}/${team}/nemo:1.2.0`
    const job = await system.pull(source, {
      principal,
      options: { architecture: 'amd64', plainHttp: true, ...options },
    })
    assert.equal((await system.ended(job.id)).state, 'succeeded')
  }
  await pull('team', 'ada')
  await pull('other', 'bob', { metadataOnly: true })
  const shares = (await system.store.packages.get(DIGEST))?.owners ?? []
  assert.deepEqual(
    shares.map(({ name, references }) => [name, references]),
    [
      ['ada', [`oci://${registry.host}/team/nemo:1.2.0`]],
      ['bob', [`oci://${registry.host}/other/nemo:1.2.0`]],
    ],
  )
  const publish = async (principal: string) => {
    const source = `store:${DIGEST}`
    const job = await system.publish('', `oci://${registry.host}/${principal}`, {
      source,
      principal,
      options: { plainHttp: true },
    })
    const { state, error } = await system.ended(job.id)
    return error?.code ?? state
  }
  assert.deepEqual([await publish('ada'), await publish('bob')], ['succeeded', 'PACKAGE_INCOMPLETE'])
})
