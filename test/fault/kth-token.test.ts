import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { assertStreamInvariants } from '../helpers/sweeps/progress-invariants.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { startTokenServer } from '../helpers/registries/token-server.ts'

const MIB = 1024 * 1024

test('a publish goes on although any one call of the token service fails', async (t) => {
  const [program] = registryPrograms()
  assert.ok(program, 'no registry program is on PATH')
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 2, layerBytes: 9 * MIB, format: 'tar' })
  const tokens = await startTokenServer(t, { users: { ann: 'secret of ann' } })
  const { host, pathname } = new URL(tokens.realm)
  const proxy = await startFaultProxy(t, host)
  const realm = `http://${proxy.host}${pathname}`
  const { service, issuer, rootCertBundle } = tokens
  const registry = await startDockerRegistry(t, { program, token: { realm, service, issuer, rootCertBundle } })
  const system = await startJobSystem(t, { roots: [folder] })
  const credentials = { registry: registry.host, username: 'ann', password: 'secret of ann' }

  /** By a worker that has no token yet. */
  const publish = async (name: string) => {
    const worker = await system.worker(name)
    const { id } = await system.publish(built.path, `${registry.host}/${name}`, { credentials })
    const ended = await system.ended(id)
    await worker.stop(10_000)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
    assertStreamInvariants(await system.log(id))
  }
  await publish('clean')
  const { calls } = proxy
  assert.ok(calls > 0)
  for (let k = 1; k <= calls; k += 1) {
    for (const [at, point] of [
      { call: k },
      { call: k, after: 20 },
      { answer: k },
      { answer: k, after: 20 },
    ].entries()) {
      const fault = proxy.fail(point)
      await publish(`run-${k}-${at}`)
      assert.ok(fault.met, `${JSON.stringify(point)} was met`)
    }
  }
  await system.assertNothingLeft(registry)
})
