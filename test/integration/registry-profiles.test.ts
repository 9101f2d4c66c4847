import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Registry } from '../../src/http/schemas/registry.ts'
import type { RegistryProfile } from '../../src/http/schemas/registry-profile.ts'
import { createRegistryFacts } from '../../src/jobs/hints/registry-facts.ts'
import { reportProfile } from '../../src/oci/facts/profile-report.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const HOST = 'registry.example:5000'
const at = (host: string, more = '') => `/v1/registries/${encodeURIComponent(host)}${more}`
const profileOf = async ({ app }: TestApp, host: string) =>
  (await app.inject(at(host, '/profile'))).json<RegistryProfile>()
const NOTHING = { name: 'unknown', by: null, kind: null, version: null, refuted: null, facts: {} }

test('what a registry is, and how that is known, is told whether or not anything is kept of it', async (t) => {
  const bed = await startApp(t)
  assert.deepEqual(await profileOf(bed, HOST), NOTHING)
  assert.deepEqual(await profileOf(bed, 'ghcr.io'), {
    ...NOTHING,
    name: 'ghcr',
    by: 'host name',
    kind: 'GitHub (GHCR)',
  })
  await bed.facts.save(HOST, {
    profile: 'artifactory',
    version: '7.93.2',
    severalRanges: false,
    maxBodyBytes: 8_388_608,
  })
  assert.deepEqual(await profileOf(bed, HOST), {
    name: 'artifactory',
    by: 'answers',
    kind: 'Artifactory',
    version: '7.93.2',
    refuted: null,
    facts: { severalRanges: false, maxBodyBytes: 8_388_608 },
  })
  await bed.facts.save(HOST, { profile: 'gar', refuted: true, version: undefined })
  const { name, by, refuted } = await profileOf(bed, HOST)
  assert.deepEqual([name, by, refuted], ['unknown', 'behaviour', 'gar'])
  assert.equal((await bed.app.inject(at(HOST))).statusCode, 404)
  assert.equal((await bed.app.inject(at('a/b', '/profile'))).json().code, 'REFERENCE_INVALID')
})

test('what is kept of a registry comes with it, and an edit minds nothing that was learnt meanwhile', async (t) => {
  const bed = await startApp(t)
  const made = await bed.app.inject({ method: 'PUT', url: at(HOST), payload: {} })
  assert.deepEqual(made.json<Registry>().profile, NOTHING)
  const tag = String(made.headers.etag)
  await bed.facts.save(HOST, { profile: 'harbor' })
  const read = await bed.app.inject({ url: at(HOST), headers: { 'if-none-match': tag } })
  assert.equal(read.statusCode, 200)
  assert.equal(read.json<Registry>().profile.name, 'harbor')
  const same = await bed.app.inject({ url: at(HOST), headers: { 'if-none-match': String(read.headers.etag) } })
  assert.equal(same.statusCode, 304)
  const [listed] = (await bed.app.inject('/v1/registries')).json<{ items: Registry[] }>().items
  assert.equal(listed?.profile.by, 'answers')
  const edit = await bed.app.inject({ method: 'PUT', url: at(HOST), payload: {}, headers: { 'if-match': tag } })
  assert.equal(edit.statusCode, 200)
  const late = await bed.app.inject({ method: 'PUT', url: at(HOST), payload: {}, headers: { 'if-match': tag } })
  assert.equal(late.json().code, 'PRECONDITION_FAILED')
})

test('what was learnt is forgotten by itself, or with all that is kept', async (t) => {
  const bed = await startApp(t)
  await bed.facts.save(HOST, { profile: 'harbor' })
  const forgotten = await bed.app.inject({ method: 'DELETE', url: at(HOST, '/profile') })
  assert.equal(forgotten.statusCode, 204)
  assert.deepEqual(await profileOf(bed, HOST), NOTHING)
  await bed.app.inject({ method: 'PUT', url: at(HOST), payload: {} })
  await bed.facts.save(HOST, { profile: 'harbor' })
  await bed.app.inject({ method: 'DELETE', url: at(HOST), headers: { 'if-match': '*' } })
  assert.deepEqual(await profileOf(bed, HOST), NOTHING)
  await bed.jobs.redis.stop()
  assert.equal((await bed.app.inject({ method: 'DELETE', url: at(HOST, '/profile') })).statusCode, 503)
})

test('a worker tells what a publish was shown, and the command line shows it', async (t) => {
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 100_000, format: 'tar' })
  const registry = await startDockerRegistry(t)
  const system = await startJobSystem(t, { roots: [folder] })
  await system.workerProcess('one')
  const job = await system.publish(built.path, `${registry.host}/team`)
  assert.equal((await system.ended(job.id)).state, 'succeeded')
  const facts = createRegistryFacts({ redis: { socketPath: system.redis.socketPath } })
  t.after(() => facts.close())
  const profiles = {
    of: (host: string) => reportProfile(host, facts),
    forget: (host: string) => facts.forget(host),
  }
  await waitFor('the profile', async () => (await profiles.of(registry.host)).by === 'answers')
  const bed = await startApp(t, { profiles })
  const { terminal, out } = pipeTerminal(await bed.listen())
  assert.equal(await runCommand(['registries', registry.host], terminal), 0)
  assert.match(out(), /^profile +distribution\nknown by +answers\nkind +distribution, or one that is made after it\n/)
})
