import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import type { MountAnswer } from '../../src/content/endpoints.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { fixedCredentials } from '../../src/oci/credentials/fixed.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { pullFrom } from '../helpers/packages/pulling.ts'
import {
  type DockerRegistry,
  type DockerRegistryOptions,
  type RegistryProgram,
  registryPrograms,
  startDockerRegistry,
} from '../helpers/registries/docker-registry.ts'
import { openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import type { TokenKeyOptions } from '../helpers/registries/token-key.ts'
import { startTokenServer, type TokenServerOptions } from '../helpers/registries/token-server.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const credential = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const users = { ann: credential.password }

/** How tokens tell their key, and where the registry finds it. */
interface Trust extends Required<TokenKeyOptions>, Required<Pick<DockerRegistryOptions, 'trust'>> {}

const TRUSTS: Record<RegistryProgram, readonly [Trust, ...Trust[]]> = {
  'docker-registry': [
    { algorithm: 'ES256', told: 'kid', trust: 'rootCertBundle' },
    { algorithm: 'RS256', told: 'x5c', trust: 'rootCertBundle' },
  ],
  registry: [
    { algorithm: 'RS256', told: 'kid', trust: 'jwks' },
    { algorithm: 'ES256', told: 'kid', trust: 'jwks' },
  ],
}

async function start(t: TestContext, program: RegistryProgram, options: TokenServerOptions & { with?: Trust } = {}) {
  const { with: trust = TRUSTS[program][0], ...more } = options
  const tokens = await startTokenServer(t, { users, key: trust, ...more })
  const registry = await startDockerRegistry(t, { program, token: tokens, trust: trust.trust })
  return { tokens, registry }
}

/** Statuses of the requests with this method, in order. */
function statuses(registry: DockerRegistry, method: string): number[] {
  const lines = registry.logs().matchAll(/"([A-Z]+) \/v2\/\S+ HTTP\/1\.1" (\d+)/g)
  return [...lines].flatMap(([, name, status]) => (name === method ? [Number(status)] : []))
}

for (const program of registryPrograms()) {
  describe(`tokens that ${program} checks`, { concurrency: 2 }, () => {
    for (const trust of TRUSTS[program]) {
      const name = `${trust.algorithm} with ${trust.told}, trusted by ${trust.trust}`
      test(`${name}: a package goes up, comes back, and is mounted elsewhere with both scopes in one token`, async (t) => {
        const { tokens, registry } = await start(t, program, { with: trust })
        const built = await buildPackage(await tempDir(t), { layers: 2, layerBytes: [9 * MIB, 1000] })
        const client = registryClient(t, fixedCredentials(registry.host, credential))
        const { outcome } = await publishTo(t, built.path, parseDestination(`${registry.host}/one`), { client })
        const pulled = await pullFrom(t, outcome.reference, { client, architecture: 'amd64' })
        assert.equal(pulled.outcome.digest, outcome.digest)

        const blob = testBlob(someBytes(2 * MIB))
        await (await openRepository(t, registry.host, { repository: 'one/blobs', credential })).push(
          blob.descriptor,
          blob.open,
          { signal },
        )
        const answers: MountAnswer[] = []
        const mountFrom = [{ repository: 'one/blobs', answered: (answer: MountAnswer) => void answers.push(answer) }]
        const other = await openRepository(t, registry.host, { repository: 'two/blobs', credential })
        await other.push(blob.descriptor, blob.open, { signal, mountFrom })
        assert.deepEqual(answers, ['mounted'])
        assert.deepEqual(tokens.requests.at(-1)?.scopes, [
          'repository:two/blobs:pull,push',
          'repository:one/blobs:pull',
        ])
      })
    }

    test('a wrong password is told as such, and the registry is not asked again', async (t) => {
      const { registry } = await start(t, program)
      const wrong = { credential: { ...credential, password: 'wrong' } }
      const repository = await openRepository(t, registry.host, wrong)
      await assert.rejects(repository.preparePush({ signal }), {
        code: 'REGISTRY_UNAUTHORIZED',
        retry: 'permanent',
        hint: /did not take the user "ann"/,
      })
      assert.deepEqual(statuses(registry, 'POST'), [401])
    })

    test('who may read and not push is told of the right that is missing', async (t) => {
      const { registry } = await start(t, program, { rights: (_user, _repository, action) => action === 'pull' })
      const repository = await openRepository(t, registry.host, { credential })
      assert.equal(await repository.getManifest('none', { signal }), undefined)
      await assert.rejects(repository.preparePush({ signal }), {
        code: 'REGISTRY_DENIED',
        retry: 'permanent',
        hint: /repository:test\/blobs:pull,push/,
      })
    })

    test('a key that the registry does not trust is told as the fault of who runs the two', async (t) => {
      // A certificate alone says nothing about a key's name to distribution 3; 2.8 is given the certificate of another key.
      const { tokens } = await start(t, program)
      const other = await startTokenServer(t, { users, key: TRUSTS[program][0] })
      const token = program === 'registry' ? tokens : { ...tokens, rootCertBundle: other.rootCertBundle }
      const registry = await startDockerRegistry(t, { program, token, trust: 'rootCertBundle' })
      const repository = await openRepository(t, registry.host, { credential })
      await assert.rejects(repository.preparePush({ signal }), {
        code: 'REGISTRY_UNAUTHORIZED',
        retry: 'permanent',
        hint: /does not trust the tokens .*\(invalid_token\)/,
      })
      assert.match(registry.logs(), /untrusted key with ID/)
    })

    test('a token that runs out between PATCH and PUT is renewed, and the bytes go once', async (t) => {
      const { tokens, registry } = await start(t, program, { believedSeconds: 2 })
      const proxy = await startFaultProxy(t, registry.host, { bytesPerSecond: 4 * MIB })
      const repository = await openRepository(t, proxy.host, { credential })
      const blob = testBlob(someBytes(12 * MIB))
      await repository.push(blob.descriptor, blob.open, { signal })
      assert.equal((await repository.stat(blob.descriptor.digest, { signal }))?.size, blob.bytes.length)
      const puts = statuses(registry, 'PUT')
      assert.deepEqual([puts[0], puts.at(-1)], [401, 201])
      assert.equal(blob.opened.length, statuses(registry, 'PATCH').length)
      assert.ok(tokens.requests.length >= 2)
    })

    test('tokens that run out in the middle of a publish are renewed until it is whole', async (t) => {
      const { tokens, registry } = await start(t, program, { believedSeconds: 2 })
      const proxy = await startFaultProxy(t, registry.host, { bytesPerSecond: 8 * MIB })
      const built = await buildPackage(await tempDir(t), { layers: 6, layerBytes: 6 * MIB, format: 'tar' })
      const client = registryClient(t, fixedCredentials(proxy.host, credential))
      const destination = parseDestination(`${proxy.host}/team`)
      const { outcome } = await publishTo(t, built.path, destination, { client, concurrency: 2 })
      assert.ok(tokens.requests.length >= 2, `${tokens.requests.length} tokens`)
      const pulled = await pullFrom(t, outcome.reference, { client, architecture: 'amd64' })
      assert.equal(pulled.outcome.digest, outcome.digest)
    })

    test('tokens that say how short their life is are renewed before they run out', async (t) => {
      const { tokens, registry } = await start(t, program, { ttlSeconds: 2 })
      const proxy = await startFaultProxy(t, registry.host, { bytesPerSecond: 8 * MIB })
      const built = await buildPackage(await tempDir(t), { layers: 6, layerBytes: 5 * MIB, format: 'tar' })
      const client = registryClient(t, fixedCredentials(proxy.host, credential))
      await publishTo(t, built.path, parseDestination(`${proxy.host}/team`), { client, concurrency: 1 })
      assert.ok(tokens.requests.length >= 2, `${tokens.requests.length} tokens`)
      assert.ok(!statuses(registry, 'PUT').includes(401) && !statuses(registry, 'PATCH').includes(401))
    })
  })
}
