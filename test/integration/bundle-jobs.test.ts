import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { dirname } from 'node:path'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { buildBundle, putBuiltBundle } from '../helpers/packages/bundle-builder.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { pullFrom } from '../helpers/packages/pulling.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { takenOver } from '../helpers/redis/taken-over.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024

describe('jobs of bundles', () => {
  test('publish, pull, publish from the store, verify: each says what it was, and progress is whole', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const system = await startJobSystem(t, { roots: [dirname(FIXTURES.armadaBundle)] })
    await system.worker('one')
    const succeeded = async (job: { id: string }) => {
      const ended = await system.ended(job.id)
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
      assertStreamInvariants(await system.log(job.id))
      const { result } = ended
      assert.equal(result?.digest, digestOf(publishedManifest('armadaBundle')))
      assert.deepEqual([result?.name, result?.version, result?.architecture], ['armada', '0.2.0', 'amd64'])
      assert.deepEqual(
        result?.packages?.map(({ name }) => name),
        ['nemo', 'logbook'],
      )
      return ended
    }
    const published = await succeeded(await system.publish(FIXTURES.armadaBundle, `oci://${registry.host}/uds`))
    const { reference = '', indexDigest } = published.result ?? {}
    assert.equal(indexDigest, digestOf(publishedIndex('armadaBundle')))
    const pulled = await succeeded(await system.pull(reference))
    assert.equal(pulled.result?.archive, `/v1/packages/${pulled.result?.digest}/archive`)
    const again = { kind: 'publish' as const, source: `store:${pulled.result?.digest}` }
    const stored = await succeeded(await system.publish('', `oci://${registry.host}/again`, again))
    assert.equal(stored.result?.indexDigest, indexDigest)
    for (const source of [reference, again.source, `file:${FIXTURES.armadaBundle}`]) {
      const verified = await succeeded(
        await system.pull(reference, {
          kind: 'verify',
          source,
          destination: null,
          options: { verify: { mode: 'if-possible' } },
        }),
      )
      assert.equal(verified.result?.signed, false)
      assert.equal(verified.result?.checksums?.files, pulled.result?.layers)
    }
    await system.assertNothingLeft()
  })

  test('one that lacks a blob fails by its package’s name, and leaves nothing at the registry', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const folder = await tempDir(t, 'bundle')
    const without = (title: string) => title === 'components/layer-0001.tar'
    const bundle = await buildBundle(folder, { packages: [{ layerBytes: MIB }, { layerBytes: 2 * MIB, without }] })
    const system = await startJobSystem(t, { roots: [folder] })
    await system.worker('one')
    const { state, error } = await system.ended((await system.publish(bundle.path, `oci://${registry.host}/team`)).id)
    assert.deepEqual([state, error?.code], ['failed', 'PACKAGE_INVALID'])
    assert.match(error?.detail ?? '', /lacks components\/layer-0001\.tar of its package ship-1/)
    assert.equal(registry.manifests.get('team/convoy', '1.0.0'), undefined)
    await waitFor('sessions to be given up', async () => registry.openSessions === 0)
    await system.assertNothingLeft()
  })

  test('one that is signed is verified by its key wherever it lies, and published or pulled only if it holds', async (t) => {
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    const folder = await tempDir(t, 'bundle')
    const plain = await buildBundle(folder, { name: 'plain' })
    const definition = [...plain.blobs.values()].find((bytes) => bytes.includes('UDSBundle')) ?? Buffer.alloc(0)
    const { key, other, signature } = signed(definition)
    const bundle = await buildBundle(folder, { name: 'plain', signature })
    putBuiltBundle(registry, { repository: 'team/plain', tag: '1.0.0' }, bundle)
    const system = await startJobSystem(t, { roots: [folder] })
    await system.worker('one')
    const remote = `oci://${registry.host}/team/plain:1.0.0`
    const file = `file:${bundle.path}`
    const verify = async (source: string, pem: string) =>
      await system.ended(
        (await system.pull(remote, { kind: 'verify', source, destination: null, options: { verify: { key: pem } } }))
          .id,
      )
    for (const source of [remote, file]) {
      const good = await verify(source, key)
      assert.equal(good.state, 'succeeded', JSON.stringify(good.error))
      assert.deepEqual(
        good.result?.signatures?.map(({ form, verified }) => [form, verified]),
        [['base64', true]],
      )
      const bad = await verify(source, other)
      assert.equal(bad.error?.code, 'SIGNATURE_INVALID', JSON.stringify(bad))
    }
    const options = { options: { verify: { key: other } } }
    const refused = [
      await system.publish(bundle.path, `oci://${registry.host}/no`, options),
      await system.pull(remote, options),
    ]
    for (const job of refused) assert.equal((await system.ended(job.id)).error?.code, 'SIGNATURE_INVALID')
    assert.equal(registry.manifests.get('no/plain', '1.0.0'), undefined)
    const published = await system.publish(bundle.path, `oci://${registry.host}/yes`, { options: { verify: { key } } })
    const { state, result, error } = await system.ended(published.id)
    assert.equal(state, 'succeeded', JSON.stringify(error))
    assert.equal(result?.digest, bundle.digest)
    const sent = registry.blob('yes/plain', digestOf(signature))
    assert.ok(sent?.equals(signature), 'the signature went as it is')
  })

  for (const program of registryPrograms().slice(0, 1)) {
    test(`a publish to ${program} that is killed in the middle goes on with what is there`, async (t) => {
      const folder = await tempDir(t)
      const bundle = await buildBundle(folder, {
        packages: [
          { layers: 2, layerBytes: 12 * MIB },
          { layers: 1, layerBytes: 12 * MIB },
        ],
      })
      const there = await startDockerRegistry(t, { program })
      const proxy = await startFaultProxy(t, there.host)
      const system = await startJobSystem(t, { roots: [folder] })
      const options = { options: { concurrency: 1 } }
      const ended = await takenOver(system, 14 * MIB, () =>
        system.publish(bundle.path, `oci://${proxy.host}/team`, options),
      )
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
      assert.equal(ended.result?.digest, bundle.digest)
      const { wireBytes } = ended.progress
      assert.ok(
        wireBytes < (ended.result?.bytes ?? 0) + 13 * MIB,
        `${wireBytes} bytes went: at most one blob goes twice`,
      )
      assertStreamInvariants(await system.log(ended.id))
      const pulled = await pullFrom(t, ended.result?.reference ?? '')
      assert.equal(pulled.outcome.digest, bundle.digest)
    })
  }
})

/** As cosign writes it: base64 of DER over the file's bytes. */
function signed(definition: Buffer): { key: string; other: string; signature: Buffer } {
  const [one, two] = [
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ]
  const pem = ({ publicKey }: typeof one) => publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const der = sign('sha256', definition, one.privateKey)
  return { key: pem(one), other: pem(two), signature: Buffer.from(der.toString('base64')) }
}
