import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { putBundle } from '../helpers/packages/copying.ts'
import { FIXTURES, publishedIndex } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { publishTo } from '../helpers/packages/publishing.ts'
import { fillRegistry, pullFrom } from '../helpers/packages/pulling.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { takenOver } from '../helpers/redis/taken-over.ts'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const NEMO = { path: FIXTURES.nemoAmd64, published: 'nemo' } as const

describe('copy jobs', () => {
  test('each registry gets its own login, and neither the other one’s', async (t) => {
    const logins = {
      from: { username: 'reader', password: 'of-the-source' },
      to: { username: 'writer', password: 'of-the-other' },
    }
    const source = await startMemoryRegistry({ basic: logins.from })
    const there = await startMemoryRegistry({ basic: logins.to })
    t.after(() => Promise.all([source.close(), there.close()]))
    await fillRegistry(source, { repository: 'team/nemo', tag: '1.2.0' }, [
      NEMO,
      { ...NEMO, path: FIXTURES.nemoArm64, architecture: 'arm64' },
    ])
    const system = await startJobSystem(t, { roots: [] })
    await system.worker('one')
    const credentials = {
      registry: there.host,
      ...logins.to,
      also: { registry: source.host, ...logins.from },
    }
    const job = await system.copy(`oci://${source.host}/team/nemo:1.2.0`, `oci://${there.host}/copies`, { credentials })
    const ended = await system.ended(job.id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
    assert.deepEqual(
      [ended.result?.indexDigest, ended.result?.architecture, ended.result?.architectures, ended.result?.referrers],
      [digestOf(publishedIndex('nemo')), 'multi', ['amd64', 'arm64'], 0],
    )
    assertStreamInvariants(await system.log(job.id))
    const shown = (host: typeof source) =>
      new Set(host.requests.map(({ headers }) => headers.authorization).filter(Boolean))
    const basic = ({ username, password }: typeof logins.to) =>
      `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    assert.deepEqual(shown(source), new Set([basic(logins.from)]))
    assert.deepEqual(shown(there), new Set([basic(logins.to)]))
    await system.assertNothingLeft()
  })

  test('a bundle and a package: progress is whole, and what is there is skipped', async (t) => {
    const source = await startMemoryRegistry()
    const there = await startMemoryRegistry()
    t.after(() => Promise.all([source.close(), there.close()]))
    await putBundle(t, source, { repository: 'uds/armada', tag: '0.2.0' })
    const system = await startJobSystem(t, { roots: [] })
    await system.worker('one')
    for (const round of ['first', 'second']) {
      const job = await system.copy(`oci://${source.host}/uds/armada:0.2.0`, `oci://${there.host}/copies`)
      const { state, progress, result, error } = await system.ended(job.id)
      assert.equal(state, 'succeeded', JSON.stringify(error))
      assert.equal(progress.bytesDone, result?.bytes)
      assert.equal(progress.bytesSkipped, round === 'first' ? 0 : result?.bytes)
      assertStreamInvariants(await system.log(job.id))
    }
  })

  for (const program of registryPrograms()) {
    test(`killed in the middle at ${program}, another worker goes on with what is there`, async (t) => {
      const folder = await tempDir(t)
      const built = await buildPackage(folder, { layers: 3, layerBytes: 12 * MIB, format: 'tar' })
      const source = await startDockerRegistry(t, { program })
      const there = await startDockerRegistry(t, { program })
      const proxy = await startFaultProxy(t, there.host)
      await publishTo(t, built.path, parseDestination(`${source.host}/team`))
      const system = await startJobSystem(t, { roots: [] })
      const options = { options: { concurrency: 1 } }
      const ended = await takenOver(system, 14 * MIB, () =>
        system.copy(`oci://${source.host}/team/sample:1.0.0`, `oci://${proxy.host}/copies`, options),
      )
      assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
      const { wireBytes } = ended.progress
      assert.ok(
        wireBytes < (ended.result?.bytes ?? 0) + 13 * MIB,
        `${wireBytes} bytes went: at most one layer goes twice`,
      )
      assertStreamInvariants(await system.log(ended.id))
      const pulled = await pullFrom(t, ended.result?.reference ?? '', { architecture: 'amd64' })
      assert.equal(pulled.outcome.digest, ended.result?.digest)
    })
  }
})
