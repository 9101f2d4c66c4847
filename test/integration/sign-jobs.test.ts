import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Redis } from 'ioredis'
import { digestOf } from '../../src/content/digest.ts'
import { readKeyFile } from '../../src/trust/verification.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { untilServed } from '../helpers/redis/until-served.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const PRIVATE = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString()
/** As in fencing.test.ts. */
const LOCK_MS = 8000
const SECRET = PRIVATE.split('\n')[1] ?? ''

/** A worker, two registries, and the keys `release` (both halves) and `vendor` (that of the signed nemo). */
async function startBed(
  t: TestContext,
  { rules = () => [], worker = 'one' }: { rules?: (host: string) => unknown[]; worker?: 'one' | 'none' } = {},
) {
  const [first, second] = [await startMemoryRegistry(), await startMemoryRegistry()]
  t.after(() => Promise.all([first.close(), second.close()]))
  const policyFile = join(await tempDir(t), 'policy.json')
  await writeFile(policyFile, JSON.stringify(rules(first.host)))
  const folder = await tempDir(t, 'packages')
  const system = await startJobSystem(t, { roots: [dirname(FIXTURES.nemoAmd64), folder] })
  if (worker === 'one') await system.worker('one', { policyFile })
  const keep = async (name: string, text: string) => {
    const { publicKey, privateKey } = await readKeyFile(text, undefined)
    const { algorithm, fingerprint, pem } = publicKey
    const secret = privateKey === undefined ? null : { privateKey }
    const kind = privateKey === undefined ? ('public' as const) : ('private' as const)
    return await system.keys.put(name, { kind, algorithm, fingerprint, publicKey: pem, kms: null, secret }, undefined)
  }
  const release = await keep('release', PRIVATE)
  return { system, first, second, folder, release, keep }
}

test('a publish and a copy sign with a kept key, a pull verifies with it, and nothing tells its secret', async (t) => {
  const { system, first, second, release } = await startBed(t)
  const sign = { keyRef: 'release' }
  const published = await system.ended(
    (await system.publish(FIXTURES.nemoAmd64, `oci://${first.host}/team`, { options: { sign } })).id,
  )
  assert.equal(published.state, 'succeeded', JSON.stringify(published.error))
  assert.equal(published.result?.signed, true)
  assert.notEqual(published.result?.digest, digestOf(publishedManifest('nemo')))
  assert.deepEqual(published.result?.signatures, [
    { form: 'bundle', key: { fingerprint: release.fingerprint }, verified: true, reason: null },
  ])
  assertStreamInvariants(await system.log(published.id))
  const from = published.result?.reference ?? ''
  const verify = { keyRef: 'release' }
  const copied = await system.ended(
    (await system.copy(from, `oci://${second.host}/team`, { options: { sign, verify } })).id,
  )
  assert.equal(copied.result?.signed, true, JSON.stringify(copied.error))
  assertStreamInvariants(await system.log(copied.id))
  const pulled = await system.ended(
    (await system.pull(copied.result?.reference ?? '', { options: { architecture: 'amd64', verify } })).id,
  )
  assert.equal(pulled.result?.digest, copied.result?.digest, JSON.stringify(pulled.error))
  const again = await system.ended(
    (
      await system.publish('', `oci://${first.host}/stored`, {
        source: `store:${pulled.result?.digest}`,
        options: { sign },
      })
    ).id,
  )
  assert.equal(again.result?.signed, true, JSON.stringify(again.error))
  const logs = await Promise.all([published, copied, pulled, again].map(({ id }) => system.log(id)))
  const told = JSON.stringify([published, copied, pulled, again, logs])
  assert.ok(!told.includes(SECRET))
  assert.match(told, /signed with the key release/)
})

test('a policy for where a package goes holds for what is signed here', async (t) => {
  const { system, first, second, keep } = await startBed(t, {
    rules: (host) => [{ match: [`${host}/team/**`], kinds: ['publish'], verify: { keyRef: 'release' } }],
  })
  await keep('other', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  const job = async (options: object, destination = `oci://${first.host}/team`) =>
    await system.ended((await system.publish(FIXTURES.nemoAmd64, destination, { options })).id)
  assert.equal((await job({})).error?.code, 'POLICY_VIOLATED')
  const wrong = await job({ sign: { keyRef: 'other' } })
  assert.deepEqual([wrong.error?.code, wrong.error?.details?.['reason']], ['POLICY_VIOLATED', 'SIGNATURE_UNTRUSTED'])
  assert.deepEqual(
    first.requests.filter(({ bodyBytes }) => bodyBytes > 0),
    [],
  )
  assert.equal((await job({ sign: { keyRef: 'release' } })).state, 'succeeded')
  assert.equal((await job({}, `oci://${second.host}/team`)).state, 'succeeded')
})

test('a key that is gone by then, or a public one, fails the job before anything moves', async (t) => {
  const { system, first, keep } = await startBed(t)
  await keep('vendor', generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString())
  for (const [keyRef, code] of [
    ['none', 'KEY_NOT_FOUND'],
    ['vendor', 'PACKAGE_NOT_SIGNABLE'],
  ] as const) {
    const job = await system.publish(FIXTURES.nemoAmd64, `oci://${first.host}/team`, { options: { sign: { keyRef } } })
    const { error } = await system.ended(job.id)
    assert.equal(error?.code, code, JSON.stringify(error))
  }
  assert.deepEqual(first.requests, [])
})

test('the same package signed again is the same package, for as long as its signature is remembered', async (t) => {
  const { system, first, folder, release } = await startBed(t)
  const { path } = await buildPackage(folder, { layers: 2 })
  const publish = async () => {
    const job = await system.publish(path, `oci://${first.host}/team`, { options: { sign: { keyRef: 'release' } } })
    const { result, error } = await system.ended(job.id)
    assert.ok(result, JSON.stringify(error))
    return result
  }
  const one = await publish()
  assert.equal((await publish()).digest, one.digest)
  const raw = new Redis(system.redis.clientOptions)
  t.after(() => raw.disconnect())
  const [place = ''] = await raw.keys('*:signature:*')
  assert.ok(place.includes(release.fingerprint) && (await raw.ttl(place)) > 86_400)
  // What does not hold is made anew, whoever put it there.
  await raw.set(place, 'MEUCIQ==')
  const three = await publish()
  assert.notEqual(three.digest, one.digest)
  const options = { verify: { keyRef: 'release' } }
  const pulled = await system.ended((await system.pull(three.reference, { options })).id)
  assert.equal(pulled.result?.digest, three.digest, JSON.stringify(pulled.error))
})

test('a worker that is lost after it has signed: the next one goes on with that signature', async (t) => {
  const { system, first, release } = await startBed(t, { worker: 'none' })
  const match = { method: 'PUT', path: /\/manifests\/1\.2\.0$/ }
  const gate = Promise.withResolvers<void>()
  t.after(() => gate.resolve())
  first.fail(match, { kind: 'hold', until: gate.promise })
  const lost = await system.workerProcess('lost', { lockMs: LOCK_MS })
  const options = { sign: { keyRef: 'release' } }
  const { id } = await untilServed(() => system.publish(FIXTURES.nemoAmd64, `oci://${first.host}/team`, { options }))
  await waitFor('the tag to be on its way', () =>
    first.requests.some(
      ({ method, path, status }) => method === 'PUT' && match.path.test(path) && status === undefined,
    ),
  )
  await lost.kill()
  await system.worker('heir')
  gate.resolve()
  const { state, result, attempt, error } = await system.ended(id)
  assert.equal(state, 'succeeded', JSON.stringify(error))
  assert.equal(attempt, 2)
  assertStreamInvariants(await system.log(id))
  const reference = result?.reference ?? ''
  const pulled = await system.ended((await system.pull(reference, { options: { verify: { keyRef: 'release' } } })).id)
  assert.equal(pulled.result?.digest, result?.digest, JSON.stringify(pulled.error))
  assert.equal(pulled.result?.signatures?.[0]?.key?.fingerprint, release.fingerprint)
  const manifests = first.requests.filter(({ method, path }) => method === 'PUT' && path.includes('/manifests/sha256:'))
  assert.equal(new Set(manifests.map(({ path }) => path)).size, 1)
})
