import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { endedOver, publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { shortTempDir } from '../helpers/temp-dir.ts'
import { cosignFile } from '../helpers/trust/cosign-file.ts'

const DER = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'der' })
const PASSWORD = 'pass-word-of-the-key'

test('a daemon that keeps a key and signs with it writes its secrets nowhere', async (t) => {
  const registry = await startDockerRegistry(t)
  const dataDir = await shortTempDir(t)
  const env = { LAYERD_WORKERS: '1', LAYERD_LOG_LEVEL: 'trace', LAYERD_FILE_ROOTS: dirname(FIXTURES.nemoAmd64) }
  const layerd = await startLayerd(t, { dataDir, env })
  const api = await readyUrl(layerd)
  const key = cosignFile(DER, PASSWORD)
  const put = async (name: string, password: string) =>
    await fetch(`${api}/v1/keys/${name}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ key, password }),
    })
  assert.deepEqual(
    [(await put('wrong', `not-${PASSWORD}`)).status, (await put('release', PASSWORD)).status],
    [400, 201],
  )
  const job = await publishOver(api, FIXTURES.nemoAmd64, `${registry.host}/team`, { sign: { keyRef: 'release' } })
  const ended = await endedOver(api, job.id)
  assert.equal(ended.result?.signed, true, JSON.stringify(ended.error))
  await layerd.stop()
  const secrets = [PASSWORD, ...[DER.subarray(30, 70), DER].map((bytes) => bytes.toString('base64').slice(4, 40))]
  const written = [layerd.output(), ...(await textsIn(dataDir))]
  assert.ok(written.some((text) => text.includes('release')))
  for (const text of written) for (const secret of secrets) assert.ok(!text.includes(secret))
})

/** Of all files, Redis' among them. */
async function textsIn(folder: string): Promise<string[]> {
  const texts: string[] = []
  for (const name of await readdir(folder, { recursive: true })) {
    if ((await stat(join(folder, name))).isFile()) texts.push((await readFile(join(folder, name))).toString('latin1'))
  }
  return texts
}
