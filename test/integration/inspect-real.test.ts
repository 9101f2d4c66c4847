import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import {
  FIXTURES,
  type PublishedName,
  publishedConfig,
  publishedManifest,
  sharedFixture,
} from '../helpers/packages/fixtures.ts'
import { readPackage } from '../helpers/packages/pulling.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'

/** Sends a package; returns the address of what is in it. */
async function send({ app }: Pick<TestApp, 'app'>, path: string): Promise<string> {
  const payload = await readFile(path)
  const sent = await app.inject({ method: 'PUT', url: `/v1/uploads/${basename(path)}`, payload })
  assert.equal(sent.statusCode, 201, sent.body)
  return `/v1/uploads/${sent.json<{ id: string }>().id}/package`
}

const get = async <T>({ app }: Pick<TestApp, 'app'>, url: string): Promise<T> => {
  const answer = await app.inject(url)
  assert.equal(answer.statusCode, 200, `${url}: ${answer.body}`)
  return answer.json<T>()
}

const SIGNED: ReadonlySet<PublishedName> = new Set(['signedNemo', 'ledger'])

test('an upload of each kind of package tells what it would be published as', async (t) => {
  const started = await startApp(t)
  const cases: ReadonlyArray<readonly [PublishedName, string]> = [
    ['nemo', FIXTURES.nemoAmd64],
    ['fleet', FIXTURES.fleet],
    ['pilotBrass', FIXTURES.pilotBrass],
    ['logbook', FIXTURES.logbook],
    ['signedNemo', FIXTURES.signedNemo],
    ['keel', FIXTURES.keel],
    ['ledger', FIXTURES.ledger],
    ['tideDifferential', FIXTURES.tideDifferential],
    ['init', FIXTURES.init],
  ]
  for (const [name, path] of cases) {
    const url = await send(started, path)
    const found = await get<{ digest: string; fileName: string; definition: unknown; signed: boolean }>(started, url)
    assert.equal(found.digest, digestOf(publishedManifest(name)), name)
    assert.equal(found.fileName, basename(path))
    assert.deepEqual(found.definition, JSON.parse(publishedConfig(name).toString()))
    assert.equal(found.signed, SIGNED.has(name), name)
    const { signatures } = await get<{ signatures: object[] }>(started, `${url}/signatures`)
    assert.equal(signatures.length, SIGNED.has(name) ? 1 : 0, name)
  }
})

test('components are as large as what they bring, whatever they share', async (t) => {
  const started = await startApp(t)
  for (const path of [FIXTURES.nemoAmd64, FIXTURES.fleet]) {
    const url = await send(started, path)
    const { files } = await get<{ files: { title: string; size: number }[] }>(started, `${url}/files`)
    const sizes = await get<{
      size: number
      images: number
      components: { name: string; size: number; files: number; images: number }[]
    }>(started, `${url}/sizes`)
    const sum = (prefix: string) =>
      files.filter(({ title }) => title.startsWith(prefix)).reduce((total, { size }) => total + size, 0)
    assert.equal(sizes.images, sum('images/blobs/'))
    for (const { name, size, files: own, images } of sizes.components) {
      assert.equal(own, sum(`components/${name}.tar`), name)
      assert.equal(size, own + images)
    }
    const shared = sizes.components.reduce((total, { images }) => total + images, 0)
    const images = await get<{ components: { images: string[] }[] }>(started, `${url}/images`)
    const named = images.components.flatMap(({ images: each }) => each)
    if (new Set(named).size < named.length)
      assert.ok(shared > sizes.images, 'an image that two share is counted with each')
    else assert.ok(shared >= sizes.images)
  }
})

test('variables, manifests and the state of a real package', async (t) => {
  const started = await startApp(t)
  const url = await send(started, FIXTURES.nemoAmd64)
  const { variables } = await get<{ variables: { name: string; default: string }[] }>(started, `${url}/variables`)
  assert.deepEqual(
    variables.map(({ name, default: value }) => [name, value]),
    [['GREETING', 'ahoy']],
  )
  const { components } = await get<{ components: { name: string; files: { name: string; content: string }[] }[] }>(
    started,
    `${url}/manifests?components=instruments`,
  )
  assert.deepEqual(
    components.map(({ name }) => name),
    ['instruments'],
  )
  assert.equal(components[0]?.files[0]?.name, 'greeting-0.yaml')
  assert.match(components[0]?.files[0]?.content ?? '', /kind: ConfigMap|kind: Namespace/)
  assert.deepEqual(await get(started, `${url}/sboms`), { files: [] })
})

test('a split package is looked into by its part000, and a part alone is told as one', async (t) => {
  const started = await startApp(t)
  const joined = join(await tempDir(t), 'zarf-package-nemo-amd64-1.2.0.tar.zst')
  await writeFile(joined, Buffer.concat(await Promise.all(FIXTURES.splitNemo.slice(1).map((path) => readFile(path)))))
  const urls: string[] = []
  for (const path of FIXTURES.splitNemo) urls.push(await send(started, path))
  const { digest } = await get<{ digest: string }>(started, urls[0] ?? '')
  assert.equal(digest, (await readPackage(joined)).contents.manifest.digest)
  const part = await started.app.inject(urls[1] ?? '')
  assert.deepEqual([part.statusCode, part.json<Problem>().code], [422, 'PACKAGE_FORMAT_UNSUPPORTED'])
})

test('a bundle, a broken archive and what is not there are told as such', async (t) => {
  const started = await startApp(t)
  const bundle = await started.app.inject(await send(started, FIXTURES.armadaBundle))
  assert.deepEqual([bundle.statusCode, bundle.json<Problem>().code], [422, 'PACKAGE_INVALID'])
  assert.match(bundle.json<Problem>().detail, /bundle/)
  const cut = (await readFile(FIXTURES.nemoAmd64)).subarray(0, 1_000_000)
  const sent = await started.app.inject({
    method: 'PUT',
    url: '/v1/uploads/zarf-package-cut-amd64-1.tar.zst',
    payload: cut,
  })
  for (const view of ['', '/sboms', '/definition']) {
    const answer = await started.app.inject(`/v1/uploads/${sent.json<{ id: string }>().id}/package${view}`)
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [422, 'PACKAGE_TRUNCATED'])
  }
  for (const id of ['3dc92d48-9d6b-4478-9528-b8597a667be8', '..', 'x']) {
    const answer = await started.app.inject(`/v1/uploads/${encodeURIComponent(id)}/package/images`)
    assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [404, 'NOT_FOUND'])
  }
})

/** Pages of zarf's own, which lie beside the project alone. */
async function sharedPackages(t: TestContext, folder: string): Promise<string[]> {
  const path = sharedFixture(folder)
  if (!existsSync(path)) {
    t.skip(`${path} is not there`)
    return []
  }
  return (await readdir(path)).filter((name) => /\.tar(\.zst)?$/.test(name)).map((name) => join(path, name))
}

test("zarf's own SBOMs and viewer pages are listed and served", async (t) => {
  const [path] = await sharedPackages(t, 'with-sboms')
  if (path === undefined) return
  const started = await startApp(t)
  const url = await send(started, path)
  const { files } = await get<{ files: { name: string; size: number; kind: string }[] }>(started, `${url}/sboms`)
  assert.deepEqual(
    files.map(({ kind }) => kind),
    ['sbom', 'sbom', 'sbom', 'viewer', 'viewer', 'viewer', 'viewer', 'sbom'],
  )
  for (const { name, size, kind } of files) {
    const { rawPayload, headers } = await started.app.inject(`${url}/sboms/${encodeURIComponent(name)}`)
    assert.equal(rawPayload.length, size)
    assert.match(String(headers['content-type']), kind === 'viewer' ? /^text\/html/ : /^application\/json/)
    if (kind === 'sbom') JSON.parse(rawPayload.toString())
  }
})

/** As `zarf package inspect digest` of v0.84 begins. */
const OLD: Readonly<Record<string, string>> = {
  'zarf-package-wordpress-amd64-16.0.4.tar.zst': '68566e166d16',
  'zarf-package-empty-amd64-0.0.1.tar.zst': 'a0d6495c9984',
  'zarf-package-test-uncompressed-amd64-0.0.1.tar': '260f7777f0e4',
  'zarf-package-real-simple-amd64-0.0.1.tar.zst': '9879e4d388ab',
}

test('packages of old zarfs are looked into as today’s are', async (t) => {
  const paths = await sharedPackages(t, 'old')
  const started = await startApp(t)
  for (const path of paths) {
    const url = await send(started, path)
    const { digest } = await get<{ digest: string }>(started, url)
    assert.equal(digest.slice('sha256:'.length, 19), OLD[basename(path)], path)
    for (const view of ['manifests', 'values', 'variables', 'sboms', 'documentation', 'sizes', 'images']) {
      await get(started, `${url}/${view}`)
    }
  }
})
