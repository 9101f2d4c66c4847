import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { buildBundle } from '../helpers/packages/bundle-builder.ts'
import { putBundle } from '../helpers/packages/copying.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const KEY = await readFile(FIXTURES.signedNemoKey, 'utf8')
/** Where armada says that its packages are from; neither is signed. */
const NEMO = 'localhost:5601/zarf/nemo'
const LOGBOOK = 'localhost:5601/zarf/logbook'

/** A registry with a bundle, another one, and a worker with these rules. */
async function startBed(t: TestContext, rules: readonly { match: string[]; verify: object; kinds?: string[] }[]) {
  const registries: MemoryRegistry[] = [await startMemoryRegistry(), await startMemoryRegistry()]
  t.after(() => Promise.all(registries.map((each) => each.close())))
  const [source, there] = registries as [MemoryRegistry, MemoryRegistry]
  await putBundle(t, source, { repository: 'uds/armada', tag: '0.2.0' })
  const policyFile = join(await tempDir(t), 'policy.json')
  await writeFile(policyFile, JSON.stringify(rules))
  const system = await startJobSystem(t, { roots: [dirname(FIXTURES.armadaBundle)] })
  await system.worker('one', { policyFile })
  const reference = `oci://${source.host}/uds/armada:0.2.0`
  const jobs = (options = {}) => [
    () => system.pull(reference, { options }),
    () => system.copy(reference, `oci://${there.host}/copies`, { options }),
    () => system.publish(FIXTURES.armadaBundle, `oci://${there.host}/uds`, { options }),
  ]
  const run = async (work: () => Promise<{ id: string }>) => await system.ended((await work()).id)
  return { system, there, jobs, run }
}

test('a package inside a bundle is held against the policy for its own repository, before anything moves', async (t) => {
  const { system, there, jobs, run } = await startBed(t, [
    { match: [NEMO], verify: { mode: 'never' } },
    { match: ['localhost:5601/**'], verify: { key: KEY } },
  ])
  for (const job of jobs()) {
    const { kind, error } = await run(job)
    assert.equal(error?.code, 'POLICY_VIOLATED', `${kind} ${JSON.stringify(error)}`)
    assert.match(error?.detail ?? '', /the package logbook of /, kind)
    assert.equal(error?.details?.['place'], LOGBOOK, kind)
  }
  assert.deepEqual(await system.store.packages.list(), [])
  assert.deepEqual(
    there.requests.filter(({ bodyBytes }) => bodyBytes > 0),
    [],
  )
})

test('a dry run tells it as a problem', async (t) => {
  const { jobs, run } = await startBed(t, [{ match: [NEMO, LOGBOOK], verify: { key: KEY } }])
  for (const job of jobs({ dryRun: true })) {
    const { kind, state, result } = await run(job)
    assert.equal(state, 'succeeded', kind)
    assert.deepEqual(
      result?.plan?.problems.map(({ code, details }) => [code, details?.['place']]),
      [
        ['POLICY_VIOLATED', NEMO],
        ['POLICY_VIOLATED', LOGBOOK],
      ],
      kind,
    )
  }
})

test('what the policy for the packages wants is not wanted of the bundle, nor the reverse', async (t) => {
  const { system, jobs, run } = await startBed(t, [
    { match: ['localhost:5601/**'], verify: { key: KEY }, kinds: ['copy'] },
    { match: ['*/copies/**'], verify: { key: KEY } },
  ])
  const [pull, copy, publish] = jobs()
  assert.ok(pull && copy && publish)
  assert.equal((await run(pull)).state, 'succeeded')
  assert.equal((await run(publish)).state, 'succeeded')
  assert.equal((await run(copy)).error?.code, 'POLICY_VIOLATED')
  assert.equal((await system.store.packages.list()).length, 1)
})

test('a repository that no reference can name is refused where there are policies, and of no account where there are none', async (t) => {
  const folder = await tempDir(t)
  const built = await buildBundle(folder, { packages: [{ entry: { repository: 'ghcr.io/Team/Sample' } }] })
  const there = await startMemoryRegistry()
  t.after(() => there.close())
  const policyFile = join(await tempDir(t), 'policy.json')
  await writeFile(policyFile, '[]')
  const states = []
  for (const choices of [{}, { policyFile }]) {
    const system = await startJobSystem(t, { roots: [folder] })
    await system.worker('one', choices)
    const { state, error } = await system.ended((await system.publish(built.path, `oci://${there.host}/uds`)).id)
    states.push([state, error?.code])
  }
  assert.deepEqual(states, [
    ['succeeded', undefined],
    ['failed', 'PACKAGE_INVALID'],
  ])
})
