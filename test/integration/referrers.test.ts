import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseManifest } from '../../src/content/manifest.ts'
import { OCI_ARTIFACT_MANIFEST, ZARF_CONFIG } from '../../src/content/media-types.ts'
import { parseDestination, parseReference } from '../../src/content/reference.ts'
import { referrersTag } from '../../src/oci/manifests/referrers.ts'
import { findReferrers } from '../../src/transfer/referrers.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { pullFrom } from '../helpers/packages/pulling.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startCraneRegistry } from '../helpers/registries/crane-registry.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startZot } from '../helpers/registries/zot.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const { signal } = new AbortController()
const TYPE = 'application/vnd.example.audit'

/** A package that refers to another one of its repository, as everybody finds it then. */
async function published(t: TestContext, host: string, manifest: 'image' | 'artifact' = 'image') {
  const destination = parseDestination(`${host}/team`)
  const client = registryClient(t)
  const first = await publishTo(t, FIXTURES.nemoAmd64, destination, { client })
  assert.equal(first.outcome.digest, digestOf(publishedManifest('nemo')))
  const relations = { subject: first.outcome.digest, artifactType: TYPE, tag: 'audit', manifest }
  const { outcome, events } = await publishTo(t, FIXTURES.nemoAmd64, destination, { client, ...relations })
  const repository = await client.repository(host, 'team/nemo')
  const raw = await repository.getManifest(outcome.digest, { signal })
  assert.ok(raw)
  const parsed = parseManifest(raw, 'the referrer')
  assert.ok(parsed.kind === 'manifest')
  assert.deepEqual([parsed.artifactType, parsed.subject?.digest], [TYPE, first.outcome.digest])
  const found = await findReferrers(
    { reference: parseReference(`${host}/team/nemo:1.2.0`), architecture: 'amd64', artifactType: TYPE },
    { repository, signal },
  )
  assert.deepEqual(
    found.referrers.map(({ digest, mediaType, artifactType }) => [digest, mediaType, artifactType]),
    [[outcome.digest, raw.mediaType, TYPE]],
  )
  const pulled = await pullFrom(t, `oci://${host}/team/nemo:audit`, { architecture: 'amd64' })
  assert.equal(pulled.outcome.digest, outcome.digest)
  const said = events.flatMap((event) => (event.type === 'log' ? [event.message] : []))
  return { subject: first.outcome.digest, outcome, found, repository, said }
}

for (const program of registryPrograms()) {
  test(`${program} keeps no lists: what refers is added to the list under the tag, and oras finds it`, async (t) => {
    const registry = await startDockerRegistry(t, { program })
    const { subject, outcome, found, said } = await published(t, registry.host)
    assert.equal(found.from, 'tag')
    assert.ok(said.some((text) => text.includes(referrersTag(subject))))
    const oras = findProgram('oras')
    if (oras === undefined) return
    const place = `${registry.host}/team/nemo@${subject}`
    const { stdout } = await runProcess(t, oras, ['discover', '--plain-http', '--format', 'json', place])
    assert.match(stdout, new RegExp(outcome.digest))
  })

  test(`${program}: what oras attaches is found, beside ours`, async (t) => {
    if (skipWithout(t, 'oras')) return
    const registry = await startDockerRegistry(t, { program })
    const { subject, outcome, repository } = await published(t, registry.host)
    const file = join(await tempDir(t), 'note.txt')
    await writeFile(file, 'a note')
    const place = `${registry.host}/team/nemo@${subject}`
    const attach = ['attach', '--plain-http', '--disable-path-validation', '--artifact-type', 'text/x', place, file]
    await runProcess(t, findProgram('oras') ?? '', attach)
    const { referrers } = await repository.referrers(subject, { signal })
    assert.deepEqual(
      referrers.map(({ artifactType }) => artifactType),
      [TYPE, 'text/x'],
    )
    assert.equal(referrers[0]?.digest, outcome.digest)
  })
}

test('zot keeps the list itself, and nothing is written under the tag', async (t) => {
  if (skipWithout(t, 'zot')) return
  const { subject, found, repository } = await published(t, (await startZot(t)).host)
  assert.equal(found.from, 'api')
  assert.equal(await repository.getManifest(referrersTag(subject), { signal }), undefined)
})

test("an artifact manifest refers too, at crane's registry", async (t) => {
  if (skipWithout(t, 'crane')) return
  const { found } = await published(t, (await startCraneRegistry(t)).host, 'artifact')
  assert.deepEqual([found.from, found.referrers[0]?.mediaType], ['tag', OCI_ARTIFACT_MANIFEST])
})

describe('publishing what refers', () => {
  test('a subject that is not there fails before any layer moves', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    for (const subject of ['9.9.9', digestOf('nothing')]) {
      const asked = publishTo(t, FIXTURES.nemoAmd64, parseDestination(`${registry.host}/team`), { subject })
      await assert.rejects(asked, { code: 'MANIFEST_NOT_FOUND', message: new RegExp(subject.replaceAll('.', '\\.')) })
    }
    assert.equal(registry.requests.filter(({ method }) => method === 'PATCH' || method === 'PUT').length, 0)
    assert.equal(registry.openSessions, 0)
  })

  test('without a type the list says that of the config, and a list that may not be written is a warning', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const destination = parseDestination(`${registry.host}/team`)
    await publishTo(t, FIXTURES.nemoAmd64, destination)
    registry.fail({ method: 'PUT', path: /\/manifests\/sha256-/ }, { kind: 'answer', status: 403, body: '' })
    const refer = () => publishTo(t, FIXTURES.nemoAmd64, destination, { subject: '1.2.0', tag: 'other' })
    const one = await refer()
    const warnings = one.events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))
    assert.deepEqual(warnings, ['REFERRERS_NOT_LISTED'])
    assert.ok(registry.manifests.get('team/nemo', 'other'))
    // The tag names an index, so that is what is referred to.
    const index = registry.manifests.get('team/nemo', '1.2.0')
    await refer()
    const kept = registry.manifests.get('team/nemo', referrersTag(digestOf(index?.bytes ?? Buffer.alloc(0))))
    const entries = (JSON.parse(kept?.bytes.toString() ?? '{}') as { manifests: { artifactType: string }[] }).manifests
    assert.deepEqual(
      entries.map(({ artifactType }) => artifactType),
      [ZARF_CONFIG],
    )
  })

  test('two jobs at once lose nothing of the list', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const system = await startJobSystem(t, { roots: [dirname(FIXTURES.nemoAmd64)] })
    for (const name of ['one', 'two']) await system.worker(name)
    const publish = async (options: Record<string, string>) => {
      const job = await system.publish(FIXTURES.nemoAmd64, `${registry.host}/team`, { options })
      return await system.ended(job.id)
    }
    const first = await publish({})
    const types = ['a/a', 'a/b', 'a/c', 'a/d', 'a/e', 'a/f']
    const subject = first.result?.digest ?? ''
    const all = await Promise.all(
      types.map((artifactType, at) => publish({ subject, artifactType, tag: `audit-${at}` })),
    )
    assert.deepEqual(new Set(all.map(({ state }) => state)), new Set(['succeeded']))
    const kept = registry.manifests.get('team/nemo', referrersTag(digestOf(publishedManifest('nemo'))))
    const entries = (JSON.parse(kept?.bytes.toString() ?? '{}') as { manifests: { artifactType: string }[] }).manifests
    assert.deepEqual(entries.map(({ artifactType }) => artifactType).toSorted(), types)
  })
})
