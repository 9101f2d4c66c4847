import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { RegistryFact, RegistryFactStore } from '../../src/content/registry-facts.ts'
import { openRepository, testBlob } from '../helpers/registries/oci-client.ts'
import { profile } from '../helpers/registries/kit/profiles.ts'
import type { UploadWays } from '../helpers/registries/kit/ways.ts'
import { startScriptedRegistry } from '../helpers/registries/scripted-registry.ts'
import {
  end,
  LARGE,
  ranges,
  startUploadRegistry,
  type UploadRegistry,
  type UploadRegistryOptions,
} from '../helpers/registries/upload-scene.ts'

const MIB = 1024 * 1024
const ECR = profile('ecr').uploads
const GAR = profile('gar').uploads
const { signal } = new AbortController()
const ANN = { kind: 'basic', username: 'ann', password: 'secret' } as const
const CLAIMS = {
  ecr: 'Basic realm="https://HOST/",service="ecr.amazonaws.com"',
  gar: 'Bearer realm="http://HOST/token",service="europe-docker.pkg.dev"',
}

type Quirks = Partial<UploadWays> & Pick<UploadRegistryOptions, 'challenge'>

/** A registry that is not known by its name, a client of it, and what that learnt. */
async function bed(t: TestContext, { challenge, ...ways }: Quirks, known: Record<string, RegistryFact> = {}) {
  const registry = await startUploadRegistry(t, ways, challenge === undefined ? {} : { challenge })
  const saved: Record<string, RegistryFact | undefined> = { ...known }
  const facts: RegistryFactStore = {
    load: async () => ({ ...known }),
    save: async (_, changes) => Boolean(Object.assign(saved, changes)),
  }
  const repository = await openRepository(t, registry.host, { facts, credential: ANN })
  const push = async (bytes: number, at = 0) => {
    const blob = testBlob(LARGE.subarray(at, at + bytes))
    await repository.push(blob.descriptor, blob.open, { signal })
    await repository.releasePush()
    assert.ok(registry.blob(blob.descriptor.digest)?.equals(blob.bytes))
    assert.equal(registry.openSessions, 0)
  }
  return { registry, saved, push, repository }
}

const bodies = ({ requests }: UploadRegistry) => ranges({ requests: requests.filter(({ bytes }) => bytes > 0) })

test('a registry whose first refusal shows what it is gets what that wants, without one more request', async (t) => {
  const { registry, push, saved } = await bed(t, { ...GAR, challenge: CLAIMS.gar })
  await push(20 * MIB)
  assert.deepEqual(ranges(registry), ['PUT - 201'])
  assert.equal(saved['profile'], 'gar')
  const ecr = await bed(t, { ...ECR, challenge: CLAIMS.ecr })
  ecr.registry.cutAfter(17 * MIB)
  await ecr.push(24 * MIB)
  assert.equal(ecr.saved['profile'], 'ecr')
  assert.deepEqual(ranges(ecr.registry), [
    'PATCH - cut',
    'GET - 404',
    `PATCH 0-${end(8)} 201`,
    `PATCH ${8 * MIB}-${end(16)} 201`,
    `PUT ${16 * MIB}-${end(24)} 201`,
  ])
  assert.equal(ecr.saved['refuted'], undefined)
})

test('what one process was shown another goes by from its first request on', async (t) => {
  const { registry, push } = await bed(t, GAR, { profile: 'gar' })
  await push(20 * MIB)
  assert.deepEqual(ranges(registry), ['PUT - 201'])
  const refuted = await bed(t, {}, { profile: 'gar', refuted: true })
  await refuted.push(20 * MIB)
  assert.deepEqual(ranges(refuted.registry), ['PATCH - 202', 'PUT - 201'])
})

for (const { what, quirks, cut, sent } of [
  {
    what: 'takes small bodies alone',
    quirks: { bodyMaxBytes: 9 * MIB },
    cut: false,
    sent: [`PUT - 413`, `PATCH 0-${end(8)} 202`, `PATCH ${8 * MIB}-${end(16)} 202`, `PATCH ${16 * MIB}-${end(20)} 202`],
  },
  { what: 'keeps what was cut', quirks: {}, cut: true, sent: ['PUT - cut', `PATCH ${17 * MIB}-${end(20)} 202`] },
] satisfies Array<{ what: string; quirks: Quirks; cut: boolean; sent: string[] }>) {
  test(`one that shows itself as Google's, is none and ${what} is corrected by what it does`, async (t) => {
    const { registry, push, saved } = await bed(t, { ...quirks, challenge: CLAIMS.gar })
    if (cut) registry.cutAfter(17 * MIB)
    await push(20 * MIB)
    assert.deepEqual(
      bodies(registry).filter((line) => !line.includes('413')),
      sent.filter((line) => !line.includes('413')),
    )
    assert.equal(saved['refuted'], true)
    const before = registry.requests.length
    await push(21 * MIB, MIB)
    assert.notEqual(ranges(registry)[before], 'PUT - 201')
  })
}

for (const [what, quirks, refuted] of [
  ['tells where a session stands', {}, true],
  ['keeps what was acknowledged alone', { cut: 'parts' }, true],
  // Nothing of that speaks against it.
  ['loses its sessions', { cut: 'nothing' }, undefined],
] satisfies Array<[string, Quirks, boolean | undefined]>) {
  test(`one that shows itself as Amazon's, is none and ${what} gets the layer all the same`, async (t) => {
    const { registry, push, saved } = await bed(t, { ...quirks, challenge: CLAIMS.ecr })
    registry.cutAfter(17 * MIB)
    await push(24 * MIB)
    registry.cutAfter(3 * MIB)
    await push(40 * MIB, MIB)
    assert.equal(saved['refuted'], refuted)
    assert.ok(registry.bytes < 110 * MIB, `${registry.bytes / MIB} MiB`)
  })
}

test('one that shows nothing of it and is like Amazon’s is found out by what it does, and known from then on', async (t) => {
  const { registry, push, saved } = await bed(t, ECR)
  registry.cutAfter(17 * MIB)
  await push(24 * MIB)
  assert.equal(saved['lastInPut'], true)
  assert.equal(saved['profile'], 'distribution')
  const before = registry.requests.length
  await push(40 * MIB, MIB)
  assert.ok(registry.requests.slice(before).every(({ status }) => status === 201))
})

test('parts that it finds too large as they are completed are smaller from then on', async (t) => {
  const known = { cutKeeps: 'parts', parts: 'taken', bytesPerSecond: 2 * MIB, lastInPut: true }
  const { registry, push, saved } = await bed(t, ECR, known)
  await push(45 * MIB)
  assert.equal(saved['maxBodyBytes'], 8 * MIB)
  assert.deepEqual(bodies(registry).slice(0, 4), [
    `PATCH 0-${end(20)} 201`,
    `PATCH ${20 * MIB}-${end(40)} 201`,
    `PUT ${40 * MIB}-${end(45)} 400`,
    `PATCH 0-${end(8)} 201`,
  ])
})

test('what is refused for good as it is completed is told after the ways that there are, and teaches nothing', async (t) => {
  const quirks: Quirks = { ...ECR, partBytes: [100 * MIB, 101 * MIB] }
  const known = { cutKeeps: 'parts', maxBodyBytes: 8 * MIB }
  const { push, saved } = await bed(t, quirks, known)
  await assert.rejects(push(20 * MIB), { code: 'REGISTRY_REJECTED' })
  assert.equal(saved['lastInPut'], undefined)
})

test('a token service shows nothing of the registry', async (t) => {
  const other = await startUploadRegistry(t, {}, { shows: { 'x-jfrog-version': 'Artifactory/7.1' } })
  const { repository, saved } = await bed(t, {
    challenge: `Bearer realm="http://${other.host}/token",service="here"`,
  })
  await repository.preparePush({ signal })
  await repository.releasePush()
  assert.deepEqual(saved, { profile: 'distribution' })
})

test('nor does storage that a layer is fetched from; the registry itself does, in its errors too', async (t) => {
  const { descriptor } = testBlob(LARGE.subarray(0, 100))
  const found = { 'content-length': '100', 'x-jfrog-version': 'Artifactory/7.1' }
  const storage = await startScriptedRegistry(t, [{ method: 'HEAD', path: '/there', answerHeaders: found }])
  const denied = String.raw`{"errors":[{"code":"DENIED","message":"Permission \"artifactregistry.x\" denied"}]}`
  const registry = await startScriptedRegistry(t, [
    {
      method: 'HEAD',
      path: /./,
      status: 307,
      answerHeaders: { location: `http://${storage.host}/there`, 'docker-distribution-api-version': 'registry/2.0' },
    },
    { method: 'POST', path: /./, status: 403, body: denied },
  ])
  const saved: Record<string, RegistryFact | undefined> = {}
  const facts: RegistryFactStore = {
    load: async () => undefined,
    save: async (_, changes) => Boolean(Object.assign(saved, changes)),
  }
  const repository = await openRepository(t, registry.host, { facts })
  assert.deepEqual(await repository.stat(descriptor.digest, { signal }), { size: 100 })
  assert.deepEqual(saved, { profile: 'distribution' })
  await assert.rejects(repository.preparePush({ signal }))
  assert.deepEqual(saved, { profile: 'gar' })
})
