import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { docCommands } from '../helpers/processes/doc-commands.ts'
import { endedOver, MAIN, publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'

const MIB = 1024 * 1024

test('an update is carried from one daemon to another one, as docs/integrate.md says, to the same digest', async (t) => {
  if (skipWithout(t, 'bash', 'curl', 'jq')) return
  const [outside, inside] = [await startDockerRegistry(t), await startDockerRegistry(t)]
  const packages = await tempDir(t, 'packages')
  const env = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: packages }
  const start = async () => await readyUrl(await startLayerd(t, { dataDir: await shortTempDir(t), env }))
  const [OUTSIDE, INSIDE] = [await start(), await start()]
  const publish = async (version: string, seed: number, places: readonly string[]) => {
    const files = { 'data.bin': { bytes: MIB, seed } }
    const { path } = await buildPackage(packages, { version, layerBytes: 2 * MIB, files })
    const jobs = places.map(async (place) => await endedOver(OUTSIDE, (await publishOver(OUTSIDE, path, place)).id))
    return (await Promise.all(jobs)).map(({ result, error }) => result?.digest ?? JSON.stringify(error))
  }
  const [old] = await publish('1.0.0', 7, [`${outside.host}/team`, `${inside.host}/team`])
  const [made] = await publish('1.1.0', 8, [`${outside.host}/team`])
  const script = await docCommands('docs/integrate.md', {
    section: 'Updates over an air gap',
    variables: { OUTSIDE, INSIDE, REGISTRY: outside.host, REGISTRY_INSIDE: inside.host },
  })
  const command = `layerd() { "${process.execPath}" "${MAIN}" "$@"; }\n${script}`
  const cwd = await tempDir(t, 'carried')
  const { code, output, stdout } = await runProcess(t, 'bash', ['-c', command], { cwd })
  assert.equal(code, 0, output)
  assert.deepEqual(await readdir(join(cwd, 'usb')), ['layerd-update-sample-amd64-1.0.0-1.1.0.tar.zst'])
  assert.match(
    output,
    /^sample 1\.0\.0 amd64 \(sha256:[0-9a-f]{12}\) -> sample 1\.1\.0 amd64 [^]*~ data\.bin \(1\.0 MiB -> 1\.0 MiB\)$/m,
  )
  assert.match(output, new RegExp(`apply succeeded: store:${made}`))
  assert.match(output, new RegExp(`publish succeeded: oci://${inside.host}/team/sample:1\\.1\\.0\n {2}${made}`))
  assert.ok(stdout.replaceAll(/\s/g, '').endsWith(`["${old}","${made}"]`), stdout)
})
