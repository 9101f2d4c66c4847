import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { endedOver, MAIN, publishOver, readyUrl } from '../helpers/processes/layerd.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startProcess } from '../helpers/processes/processes.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const LIMIT_MIB = 4

/** A daemon whose processes can write no file longer than the limit: the kernel refuses what goes beyond (EFBIG). */
async function limitedDaemon(t: TestContext, root: string): Promise<{ api: string; dataDir: string }> {
  const dataDir = await shortTempDir(t)
  const script = `ulimit -f ${LIMIT_MIB * 1024}; exec "$0" "$@"`
  const layerd = await startProcess(t, 'bash', ['-c', script, process.execPath, MAIN], {
    graceMs: 20_000,
    env: {
      LAYERD_DATA_DIR: dataDir,
      LAYERD_LISTEN: '127.0.0.1:0',
      LAYERD_WORKERS: '1',
      LAYERD_FILE_ROOTS: root,
      TMPDIR: dataDir,
    },
  })
  return { api: await readyUrl(layerd), dataDir }
}

test('a publish writes no temporary file, whatever the format; a pull that cannot write says so and shows nothing', async (t) => {
  if (skipWithout(t, 'bash')) return
  const root = await tempDir(t, 'root')
  const { api, dataDir } = await limitedDaemon(t, root)
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  for (const [seed, format] of (['tar.zst', 'tar', 'directory'] as const).entries()) {
    const built = await buildPackage(root, {
      name: `from-${format.replace('.', '-')}`,
      format,
      seed: seed + 1,
      layers: 2,
      layerBytes: 3 * LIMIT_MIB * MIB,
    })
    const { state, error, progress } = await endedOver(api, (await publishOver(api, built.path, registry.host)).id)
    assert.equal(state, 'succeeded', `${format}: ${JSON.stringify(error)}`)
    assert.ok(progress.bytesSent > LIMIT_MIB * MIB)
  }

  const response = await fetch(`${api}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'pull', source: `oci://${registry.host}/from-tar:1.0.0` }),
  })
  const { state, error } = await endedOver(api, ((await response.json()) as Job).id)
  assert.deepEqual([state, error?.code], ['failed', 'STORE_FULL'])
  assert.match(error?.detail ?? '', /components\/layer-000\d\.tar .*is full \(EFBIG, \d+ bytes free\)/)
  assert.match(error?.hint ?? '', /retry the job: what has arrived is kept/)
  const { items } = (await (await fetch(`${api}/v1/packages`)).json()) as { items: unknown[] }
  assert.deepEqual(items, [])
  assert.deepEqual(await readdir(join(dataDir, 'store/packages')), [])
})
