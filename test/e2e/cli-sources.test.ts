import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { startWebServer, WEB_CERTIFICATE } from '../helpers/network/web-server.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'
import { filesOf, splitPackage } from '../helpers/packages/split-package.ts'
import { MIB, startBed } from '../helpers/processes/cli-bed.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { killAll } from '../helpers/sweeps/kill-all.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const [HEAD = ''] = FIXTURES.splitNemo
const WHOLE = basename(FIXTURES.nemoAmd64)

test('layerd publish takes part000 of a split package, where the daemon can read it and where not', async (t) => {
  const { root, dataDir, run } = await startBed(t)
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const destination = `oci://${registry.host}/team`
  for (const path of FIXTURES.splitNemo) await copyFile(path, join(root, basename(path)))
  const before = await filesOf(root)
  const byPath = await run(['publish', '-q', join(root, basename(HEAD)), destination])
  assert.deepEqual([byPath.code, byPath.stderr], [0, ''])
  assert.deepEqual(await filesOf(root), before)

  const byUpload = await run(['publish', HEAD, destination])
  assert.equal(byUpload.code, 0, byUpload.stderr)
  assert.match(byUpload.stderr, /^the daemon cannot read \S+part000: uploading all 4 parts\njob /)
  assert.ok(byUpload.stderr.includes(byPath.stdout.trim()), byUpload.stderr)
  assert.deepEqual(await readdir(join(dataDir, 'uploads')), [])

  const lacking = join(await tempDir(t), 'lacking')
  await mkdir(lacking)
  for (const path of FIXTURES.splitNemo) await copyFile(path, join(lacking, basename(path)))
  await rm(join(lacking, basename(FIXTURES.splitNemo[2] ?? '')))
  const refused = await run(['publish', join(lacking, basename(HEAD)), destination])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /there is no \S+part002 on this machine/)
  assert.deepEqual(await readdir(join(dataDir, 'uploads')), [])
})

test('layerd publish takes the digest of a stored package', async (t) => {
  const { run } = await startBed(t)
  const [from, there] = [await startMemoryRegistry(), await startMemoryRegistry()]
  t.after(() => Promise.all([from.close(), there.close()]))
  await fillRegistry(from, { repository: 'team/nemo', tag: '1.2.0' }, [{ path: FIXTURES.nemoAmd64, published: 'nemo' }])
  const digest = digestOf(publishedManifest('nemo'))
  const pulled = await run(['pull', '-q', '--store', '-a', 'amd64', `oci://${from.host}/team/nemo:1.2.0`])
  assert.equal(pulled.code, 0, pulled.stderr)
  for (const name of [digest, `store:${digest}`]) {
    const published = await run(['publish', '-q', name, `oci://${there.host}/copies`])
    assert.deepEqual([published.code, published.stdout], [0, `${digest}\n`], published.stderr)
  }
  const unknown = await run(['publish', `sha256:${'0'.repeat(64)}`, `oci://${there.host}/copies`])
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /the store does not hold the package/)
})

test('layerd publish takes the address of a package, with its hash', async (t) => {
  const certificate = join(await tempDir(t), 'web.pem')
  await writeFile(certificate, WEB_CERTIFICATE)
  const { run } = await startBed(t, { SSL_CERT_FILE: certificate })
  const server = await startWebServer(t)
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const bytes = await readFile(FIXTURES.nemoAmd64)
  server.paths.set(`/${WHOLE}`, { bytes, etag: '"1"' })
  const address = `${server.url}/${WHOLE}`
  const destination = `oci://${registry.host}/team`
  const hash = createHash('sha256').update(bytes).digest('hex')
  const published = await run(['publish', '-q', address, destination, '--sha256', hash])
  assert.deepEqual(
    [published.code, published.stdout],
    [0, `${digestOf(publishedManifest('nemo'))}\n`],
    published.stderr,
  )
  const without = await run(['publish', address, destination])
  assert.equal(without.code, 1)
  assert.match(without.stderr, /the option "sha256" is missing/)
  const wrong = await run(['publish', address, destination, '-t', 'other', '--sha256', '0'.repeat(64)])
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /PACKAGE_CHECKSUM_MISMATCH/)
})

for (const kind of ['a split package', 'a package of a web server']) {
  test(`a publish of ${kind} that is killed in the middle goes on after a restart`, async (t) => {
    const folder = await tempDir(t)
    await writeFile(join(folder, 'web.pem'), WEB_CERTIFICATE)
    const built = await buildPackage(await tempDir(t), { layers: 1, layerBytes: 10 * MIB, compressible: 0 })
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    registry.fail({ method: 'PATCH' }, { kind: 'stall-request', afterBytes: 2 * MIB })
    const dataDir = await shortTempDir(t)
    const env = { LAYERD_FILE_ROOTS: folder, LAYERD_WORKERS: '1', SSL_CERT_FILE: join(folder, 'web.pem') }
    const first = await startLayerd(t, { dataDir, env })
    const api = await readyUrl(first)
    const job = await post(api, {
      ...(await sourceOf(t, kind, built.path, folder)),
      destination: `oci://${registry.host}/x`,
    })
    await waitFor('a part of the layer to be there', () =>
      registry.requests.some(({ method, bodyBytes }) => method === 'PATCH' && bodyBytes === 2 * MIB),
    )
    await killAll(first)
    const second = await startLayerd(t, { dataDir, env })
    const ended = await endedOver(await readyUrl(second), job.id)
    assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
    assert.ok(ended.attempt > 1)
  })
}

async function sourceOf(t: TestContext, kind: string, path: string, folder: string) {
  if (kind === 'a split package') return { source: `file:${(await splitPackage(path, folder, 3 * MIB)).head}` }
  const server = await startWebServer(t)
  const bytes = await readFile(path)
  server.paths.set(`/${basename(path)}`, { bytes, etag: '"1"' })
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { source: `${server.url}/${basename(path)}`, options: { sha256 } }
}

async function post(api: string, body: object): Promise<Job> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${api}/v1/jobs`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ kind: 'publish', ...body }),
  })
  assert.equal(response.status, 202)
  return (await response.json()) as Job
}
