import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import type { JobOptions } from '../../src/jobs/model/job-options.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { buildPackage, type PackageOptions } from '../helpers/packages/package-builder.ts'
import { fillRegistry, packageFiles, pullFrom, putPackage, readPackage } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { createAuthority, createSigningKey, json, signByKey } from '../helpers/trust/authority.ts'

const SIGNED = { path: FIXTURES.signedNemo, published: 'signedNemo' } as const
const PLAIN = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const
const FINGERPRINT = 'sha256:6d4822509ebd73be715140a86c7863352361ed5fd2325b24501ec1d7a10c5a65'
const COSIGN_PUB = await readFile(FIXTURES.signedNemoKey, 'utf8')
const VERIFIED = [{ form: 'bundle', key: { fingerprint: FINGERPRINT }, verified: true, reason: null }]

async function startRegistry(t: TestContext): Promise<MemoryRegistry> {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  return registry
}

/** A registry with the signed nemo, a worker, and jobs of the kind verify. */
async function startBed(t: TestContext) {
  const registry = await startRegistry(t)
  await fillRegistry(registry, { repository: 'team/signed', tag: '1.2.0' }, [SIGNED])
  const folder = await tempDir(t)
  const root = join(folder, 'packages')
  await mkdir(root)
  const system = await startJobSystem(t, { roots: [root, dirname(FIXTURES.signedNemo)], folder })
  await system.worker('one')
  const verify = async (source: string, options: JobOptions = {}): Promise<Job> => {
    const local = !source.startsWith('oci://')
    const place = { queueHost: local ? 'local' : registry.host, registries: local ? [] : [registry.host] }
    const { job } = await system.queue.create({
      kind: 'verify',
      source,
      destination: null,
      options,
      labels: {},
      principal: 'anonymous',
      requestId: 'test',
      ...place,
    })
    return await system.ended(job.id)
  }
  return { registry, system, verify, root, folder, signed: `oci://${registry.host}/team/signed:1.2.0` }
}

/** Blobs that a client has fetched, by what they are. */
function fetched(registry: MemoryRegistry): string[] {
  return registry.requests
    .filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))
    .map(({ path }) => path.split('/').at(-1) ?? '')
}

/** Requests that brought bytes. */
function sent(registry: MemoryRegistry): unknown[] {
  return registry.requests.filter(({ bodyBytes }) => bodyBytes > 0)
}

function uploads(registry: MemoryRegistry): unknown[] {
  return registry.requests.filter(({ method }) => method !== 'GET' && method !== 'HEAD')
}

/** Built twice: what is signed is the zarf.yaml that the first one has. */
async function signedPackage(
  folder: string,
  sign: (definition: Buffer) => Buffer,
  options: PackageOptions = {},
): Promise<string> {
  const build = { signed: true, provenanceFiles: ['checksums.txt', 'zarf.bundle.sig'] }
  const first = await buildPackage(folder, { ...options, build })
  const definition = (await readPackage(first.path)).files.get('zarf.yaml') as Buffer
  const unlisted = { 'zarf.bundle.sig': sign(definition) }
  return (await buildPackage(folder, { ...options, build, unlisted })).path
}

describe('verify jobs', () => {
  test('a remote package is verified from its three small layers', async (t) => {
    const { registry, system, verify, signed } = await startBed(t)
    registry.requests.length = 0
    const job = await verify(signed, { verify: { key: COSIGN_PUB }, architecture: 'amd64' })
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    const { files } = await readPackage(FIXTURES.signedNemo)
    const small = ['zarf.yaml', 'checksums.txt', 'zarf.bundle.sig'].map((name) => files.get(name) as Buffer)
    const bytes = small.reduce((sum, { length }) => sum + length, 0)
    assert.deepEqual(fetched(registry).toSorted(), small.map(digestOf).toSorted())
    const { result, progress } = job
    assert.equal(progress.bytesDone, bytes)
    assert.equal(result?.digest, digestOf(publishedManifest('signedNemo')))
    assert.equal(result?.signed, true)
    assert.deepEqual(result?.signatures, VERIFIED)
    const aggregate = `sha256:${createHash('sha256')
      .update(files.get('checksums.txt') as Buffer)
      .digest('hex')}`
    assert.deepEqual(result?.checksums, { aggregate, files: files.size, hashed: 3, hashedBytes: bytes })
    assertStreamInvariants(await system.log(job.id))
  })

  test('without anything to check with, what is there is told', async (t) => {
    const { verify, signed } = await startBed(t)
    const { state, result } = await verify(signed)
    assert.equal(state, 'succeeded')
    assert.deepEqual(
      result?.signatures?.map(({ key, verified }) => [key, verified]),
      [[{ fingerprint: FINGERPRINT }, null]],
    )
  })

  test('a stored package and one on this machine are read from end to end', async (t) => {
    const { system, verify, signed } = await startBed(t)
    const pulled = await system.pull(signed, { options: { architecture: 'amd64' } })
    const { result: stored } = await system.ended(pulled.id)
    const { files } = await readPackage(FIXTURES.signedNemo)
    for (const source of [`store:${stored?.digest}`, `file:${FIXTURES.signedNemo}`]) {
      const job = await verify(source, { verify: { key: COSIGN_PUB } })
      assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
      const { result, progress } = job
      assert.deepEqual(result?.signatures, VERIFIED)
      assert.equal(result?.digest, stored?.digest)
      assert.deepEqual([result?.checksums?.files, result?.checksums?.hashed], [files.size, files.size])
      assert.equal(progress.bytesDone, result?.checksums?.hashedBytes)
      assertStreamInvariants(await system.log(job.id))
    }
    const old = await verify(`file:${FIXTURES.oldSignatureLedger}`, { verify: { key: COSIGN_PUB } })
    assert.deepEqual(old.result?.signatures, [{ ...VERIFIED[0], form: 'base64' }])
  })

  test('a stored package that lacks what its pull left out is not whole', async (t) => {
    const { system, verify, signed } = await startBed(t)
    const pulled = await system.pull(signed, { options: { architecture: 'amd64', components: [] } })
    const { result } = await system.ended(pulled.id)
    const { error } = await verify(`store:${result?.digest}`)
    assert.equal(error?.code, 'PACKAGE_INCOMPLETE')
  })

  test('a stored file that was damaged since is found', async (t) => {
    const { system, verify, signed } = await startBed(t)
    const pulled = await system.pull(signed, { options: { architecture: 'amd64' } })
    const { result: stored } = await system.ended(pulled.id)
    const { files } = await readPackage(FIXTURES.signedNemo)
    const damaged = files.get('components/vessel.tar') as Buffer
    const path = join(system.store.folder, 'blobs', 'sha256', digestOf(damaged).slice('sha256:'.length))
    await chmod(path, 0o600)
    await writeFile(path, Buffer.alloc(damaged.length, 1))
    const { error } = await verify(`store:${stored?.digest}`, { verify: { key: COSIGN_PUB } })
    assert.ok(['STORE_CORRUPT', 'PACKAGE_CHECKSUM_MISMATCH'].includes(error?.code ?? ''), error?.code)
  })

  test('another key, other bytes, no signature: refused, with what was found and what was wanted', async (t) => {
    const { registry, verify, signed, root } = await startBed(t)
    const other = createSigningKey()
    const wrong = await verify(signed, { verify: { key: other.pem } })
    assert.equal(wrong.error?.code, 'SIGNATURE_UNTRUSTED')
    assert.deepEqual(wrong.error?.details?.['found'], { key: { fingerprint: FINGERPRINT }, form: 'bundle' })
    await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [PLAIN])
    const unsigned = await verify(`oci://${registry.host}/team/nemo:1.2.0`, {
      architecture: 'amd64',
      verify: { key: COSIGN_PUB, mode: 'if-possible' },
    })
    assert.equal(unsigned.error?.code, 'SIGNATURE_MISSING')
    for (const format of ['tar', 'tar.zst', 'directory'] as const) {
      const path = await signedPackage(root, () => json(signByKey(Buffer.from('other'), other)), { format })
      const { error } = await verify(`file:${path}`, { verify: { key: other.pem } })
      assert.equal(error?.code, 'SIGNATURE_INVALID', format)
    }
  })

  test('a file that is not what checksums.txt says is found, in each kind of package', async (t) => {
    const { verify, root } = await startBed(t)
    for (const format of ['tar', 'tar.zst', 'directory'] as const) {
      const path = await signedPackage(root, (definition) => json(signByKey(definition, createSigningKey())), {
        format,
        tamper: {
          entries: (entries) =>
            entries.map((entry) =>
              entry.header.name.endsWith('layer-0001.tar') ? { ...entry, content: Buffer.alloc(4096) } : entry,
            ),
        },
      })
      const { error } = await verify(`file:${path}`)
      assert.equal(error?.code, 'PACKAGE_CHECKSUM_MISMATCH', format)
      assert.match(error?.detail ?? '', /layer-0001/)
    }
  })

  test('a remote package whose manifest and checksums.txt disagree is refused, and so is a huge signature', async (t) => {
    const { registry, verify } = await startBed(t)
    const layers = packageFiles({ 'components/one.tar': Buffer.from('one') })
    const swapped = layers.map((layer) =>
      layer.title.endsWith('one.tar') ? { ...layer, bytes: Buffer.from('two') } : layer,
    )
    putPackage(registry, { repository: 'team/lying', tag: '1' }, swapped)
    const lying = await verify(`oci://${registry.host}/team/lying:1`)
    assert.equal(lying.error?.code, 'PACKAGE_CHECKSUM_MISMATCH')
    const huge = { title: 'zarf.bundle.sig', bytes: Buffer.alloc(10 * 1024 * 1024, ' ') }
    putPackage(registry, { repository: 'team/huge', tag: '1' }, [...layers, huge])
    registry.requests.length = 0
    const { error } = await verify(`oci://${registry.host}/team/huge:1`)
    assert.equal(error?.code, 'SIGNATURE_INVALID')
    assert.ok(!fetched(registry).includes(digestOf(huge.bytes)))
  })

  test('an identity, by a trusted root of the worker', async (t) => {
    const { verify, root, folder } = await startBed(t)
    const authority = createAuthority()
    const identity = { san: 'https://ci.example/org/repo@refs/heads/main', issuer: 'https://ci.example' }
    const path = await signedPackage(root, (definition) => json(authority.sign(definition, identity)))
    const untrusted = await verify(`file:${path}`, { verify: { identity, trustedRoot: 'team' } })
    assert.equal(untrusted.error?.code, 'TRUSTED_ROOT_NOT_FOUND')
    await mkdir(join(folder, 'trusted-roots'))
    await writeFile(join(folder, 'trusted-roots', 'team.json'), authority.trustedRoot())
    const job = await verify(`file:${path}`, { verify: { identity, trustedRoot: 'team' } })
    assert.deepEqual(job.result?.signatures, [{ form: 'bundle', identity, verified: true, reason: null }])
    const begins = { ...identity, san: 'https://ci.example/org' }
    const { error } = await verify(`file:${path}`, { verify: { identity: begins, trustedRoot: 'team' } })
    assert.equal(error?.code, 'SIGNATURE_UNTRUSTED')
  })
})

describe('what is verified on its way', () => {
  test('a pull brings no layer of a package that is refused, and tells whose the other one is', async (t) => {
    const { registry, system, signed } = await startBed(t)
    registry.requests.length = 0
    const refusedKey = { options: { architecture: 'amd64', verify: { key: createSigningKey().pem } } }
    const refused = await system.ended((await system.pull(signed, refusedKey)).id)
    assert.equal(refused.error?.code, 'SIGNATURE_UNTRUSTED')
    assert.equal(fetched(registry).length, 3)
    assert.deepEqual(await system.store.packages.list(), [])
    const good = await system.pull(signed, { options: { architecture: 'amd64', verify: { key: COSIGN_PUB } } })
    const { result, error } = await system.ended(good.id)
    assert.deepEqual(result?.signatures, VERIFIED, JSON.stringify(error))
    assertStreamInvariants(await system.log(good.id))
  })

  for (const format of ['tar', 'tar.zst', 'directory'] as const) {
    test(`a publish of a ${format} sends nothing of a package that is refused`, async (t) => {
      const { registry, system, root } = await startBed(t)
      const [key, other] = [createSigningKey(), createSigningKey()]
      const path = await signedPackage(root, (definition) => json(signByKey(definition, key)), { format })
      registry.requests.length = 0
      const verify = (pem: string) => ({ options: { verify: { key: pem } } })
      const refused = await system.publish(path, `oci://${registry.host}/checked`, verify(other.pem))
      assert.equal((await system.ended(refused.id)).error?.code, 'SIGNATURE_UNTRUSTED')
      assert.deepEqual(uploads(registry), [])
      const good = await system.publish(path, `oci://${registry.host}/checked`, verify(key.pem))
      const { result, error } = await system.ended(good.id)
      assert.equal(result?.signatures?.[0]?.verified, true, JSON.stringify(error))
      assertStreamInvariants(await system.log(good.id))
      assert.equal(
        (await pullFrom(t, result?.reference ?? '', { architecture: 'amd64' })).outcome.digest,
        result?.digest,
      )
    })
  }

  test('a copy sends nothing before each package was verified, of several tags too', async (t) => {
    const { registry, system, signed } = await startBed(t)
    const there = await startRegistry(t)
    const to = `oci://${there.host}/copies`
    const refused = await system.copy(signed, to, { options: { verify: { key: createSigningKey().pem } } })
    assert.equal((await system.ended(refused.id)).error?.code, 'SIGNATURE_UNTRUSTED')
    assert.deepEqual(sent(there), [])
    const synced = await system.copy(signed.replace(/:1\.2\.0$/, ''), to, {
      options: { tags: ['1.*'], verify: { key: createSigningKey().pem } },
    })
    assert.equal((await system.ended(synced.id)).error?.code, 'SIGNATURE_UNTRUSTED')
    assert.deepEqual(sent(there), [])
    const good = await system.copy(signed, to, { options: { verify: { key: COSIGN_PUB } } })
    const { state, error } = await system.ended(good.id)
    assert.equal(state, 'succeeded', JSON.stringify(error))

    // Of two architectures one is unsigned: the whole is refused.
    await fillRegistry(registry, { repository: 'team/mixed', tag: '1.2.0' }, [
      PLAIN,
      { ...PLAIN, path: FIXTURES.nemoArm64, architecture: 'arm64' },
    ])
    const mixed = await system.copy(`oci://${registry.host}/team/mixed:1.2.0`, to, {
      options: { verify: { key: COSIGN_PUB } },
    })
    assert.equal((await system.ended(mixed.id)).error?.code, 'SIGNATURE_MISSING')
  })

  test('what is no package cannot be verified, so a copy that wants it is refused', async (t) => {
    const { registry, system } = await startBed(t)
    const there = await startRegistry(t)
    putPackage(registry, { repository: 'team/image', tag: '1' }, [{ title: 'layer', bytes: Buffer.from('layer') }])
    const source = `oci://${registry.host}/team/image:1`
    const wanted = { options: { verify: { key: COSIGN_PUB } } }
    const refused = await system.copy(source, `oci://${there.host}/copies`, wanted)
    const { error } = await system.ended(refused.id)
    assert.equal(error?.code, 'SIGNATURE_MISSING')
    assert.match(error?.detail ?? '', /neither a Zarf package nor a UDS bundle/)
    const possible = { options: { verify: { mode: 'if-possible' as const } } }
    const passed = await system.copy(source, `oci://${there.host}/copies`, possible)
    assert.equal((await system.ended(passed.id)).state, 'succeeded')
  })
})
