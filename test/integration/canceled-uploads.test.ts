import assert from 'node:assert/strict'
import { glob, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { findProgram } from '../helpers/processes/real-tools.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { startJobSystem } from '../helpers/redis/job-system.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024

test('a publish that is canceled in the middle of a layer leaves none of its bytes in distribution 3', async (t) => {
  if (findProgram('registry') === undefined) return t.skip('not on PATH: registry')
  const registry = await startDockerRegistry(t, { program: 'registry' })
  const folder = await tempDir(t)
  const built = await buildPackage(folder, { layers: 1, layerBytes: 24 * MIB, compressible: 0, format: 'tar' })
  const system = await startJobSystem(t, { roots: [folder] })
  await system.worker('one')
  const proxy = await startFaultProxy(t, registry.host)
  // The layer takes seconds, and the registry has what has gone out.
  proxy.link = { bytesPerSecond: 4 * MIB }
  const { id } = await system.publish(built.path, `oci://${proxy.host}/canceled`)
  const left = async () => {
    const files = glob('docker/registry/v2/repositories/**/_uploads/*/startedat', { cwd: registry.storage })
    const sizes = (await Array.fromAsync(files)).map(async (path) => {
      const found = await stat(join(registry.storage, dirname(path), 'data')).catch(() => undefined)
      return found?.size ?? 0
    })
    return (await Promise.all(sizes)).filter((size) => size > 0)
  }
  await waitFor('the layer to be under way', () => proxy.passed.up > 6 * MIB)
  await waitFor('the registry to hold some of it', async () => (await left()).length > 0)
  await system.queue.cancel(id, { reason: 'enough' })
  assert.equal((await system.ended(id)).state, 'canceled')
  await waitFor('its bytes to be gone', async () => (await left()).length === 0)
  await system.assertNothingLeft()
})
