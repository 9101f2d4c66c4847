import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { createSigningKey } from '../helpers/trust/authority.ts'

const COSIGN_PUB = await readFile(FIXTURES.signedNemoKey, 'utf8')
const AMD64 = { architecture: 'amd64' }

/** Two registries, of which one holds a signed and an unsigned package, and a worker whose policy wants all of team/ signed. */
async function startBed(t: TestContext, key: string) {
  const [source, there] = [await startMemoryRegistry(), await startMemoryRegistry()]
  t.after(() => Promise.all([source.close(), there.close()]))
  await fillRegistry(source, { repository: 'team/nemo', tag: '1.2.0' }, [
    { path: FIXTURES.nemoAmd64, published: 'nemo' },
  ])
  const signed = { path: FIXTURES.signedNemo, published: 'signedNemo' } as const
  await fillRegistry(source, { repository: 'team/signed', tag: '1.2.0' }, [signed])
  const policyFile = join(await tempDir(t), 'policy.json')
  const rules = [source, there].map(({ host }) => ({ match: [`${host}/team/**`], verify: { key } }))
  await writeFile(policyFile, JSON.stringify(rules))
  const system = await startJobSystem(t, { roots: [dirname(FIXTURES.nemoAmd64)] })
  await system.worker('one', { policyFile })
  return { system, source, there, from: `oci://${source.host}/team` }
}

test('what the policy does not let in is refused before anything moves, whatever the job says', async (t) => {
  const { system, there, from } = await startBed(t, COSIGN_PUB)
  const never = { ...AMD64, verify: { mode: 'never' as const } }
  const jobs = [
    await system.pull(`${from}/nemo:1.2.0`, { options: AMD64 }),
    await system.pull(`${from}/nemo:1.2.0`, { options: never }),
    await system.copy(`${from}/nemo:1.2.0`, `oci://${there.host}/copies`, { options: { architectures: ['amd64'] } }),
    await system.publish(FIXTURES.nemoAmd64, `oci://${there.host}/team`),
  ]
  for (const { id, kind } of jobs) {
    const { error } = await system.ended(id)
    assert.equal(error?.code, 'POLICY_VIOLATED', `${kind} ${JSON.stringify(error)}`)
    assert.equal(error?.details?.['reason'], 'SIGNATURE_MISSING')
  }
  assert.deepEqual(await system.store.packages.list(), [])
  assert.deepEqual(
    there.requests.filter(({ bodyBytes }) => bodyBytes > 0),
    [],
  )
})

test('what it lets in goes as ever, and the job’s own wish holds beside it', async (t) => {
  const { system, there, from } = await startBed(t, COSIGN_PUB)
  const jobs = [
    await system.pull(`${from}/signed:1.2.0`, { options: AMD64 }),
    await system.copy(`${from}/signed:1.2.0`, `oci://${there.host}/copies`),
    await system.publish(FIXTURES.signedNemo, `oci://${there.host}/team`),
    // Nobody wants anything of what goes elsewhere.
    await system.publish(FIXTURES.nemoAmd64, `oci://${there.host}/elsewhere`),
  ]
  for (const { id, kind } of jobs) {
    const { state, result, error } = await system.ended(id)
    assert.equal(state, 'succeeded', `${kind} ${JSON.stringify(error)}`)
    if (kind === 'pull') assert.equal(result?.signatures?.[0]?.verified, true)
    assertStreamInvariants(await system.log(id))
  }
  const other = { ...AMD64, verify: { key: createSigningKey().pem } }
  const refused = await system.pull(`${from}/signed:1.2.0`, { options: other })
  assert.equal((await system.ended(refused.id)).error?.code, 'SIGNATURE_UNTRUSTED')
})

test('a policy for another key refuses what this one signed, with what was found and what was wanted', async (t) => {
  const { system, from } = await startBed(t, createSigningKey().pem)
  const theirs = { ...AMD64, verify: { key: COSIGN_PUB } }
  const { id } = await system.pull(`${from}/signed:1.2.0`, { options: theirs })
  const { error } = await system.ended(id)
  assert.equal(error?.code, 'POLICY_VIOLATED')
  const { details = {} } = error ?? {}
  assert.equal(details['reason'], 'SIGNATURE_UNTRUSTED')
  const { found, wanted } = details as Record<string, { key?: { fingerprint: string } } | undefined>
  assert.match(found?.key?.fingerprint ?? '', /^sha256:6d48/)
  assert.match(wanted?.key?.fingerprint ?? '', /^sha256:/)
})
