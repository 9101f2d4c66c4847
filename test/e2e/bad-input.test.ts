import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Job, Problem } from '../../src/jobs/model/definitions.ts'
import { BAD_ARCHIVES } from '../helpers/packages/bad-archives.ts'
import { CleanupStack, defer } from '../helpers/cleanup.ts'
import { type DockerRegistry, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage, type PackageOptions } from '../helpers/packages/package-builder.ts'
import { packageFiles, putPackage, type SyntheticLayer } from '../helpers/packages/pulling.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const stack = new CleanupStack()
let api: string
let root: string
let dataDir: string
/** Nothing that this file publishes may end up in it. */
let registry: DockerRegistry
let source: MemoryRegistry

before(async () => {
  root = await tempDir(stack, 'root')
  dataDir = await shortTempDir(stack)
  registry = await startDockerRegistry(stack, { htpasswd: { user: 'myuser', password: 'mypass' } })
  source = await startMemoryRegistry()
  defer(stack, () => source.close())
  const env = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: root }
  api = await readyUrl(await startLayerd(stack, { dataDir, env }))
})
after(() => stack[Symbol.asyncDispose]())

/** What an operator gets to read: the answer to the POST, or the failed job's error. */
async function failure(body: unknown, headers: Record<string, string> = {}): Promise<Problem> {
  const response = await fetch(`${api}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  if (response.status !== 202) return (await response.json()) as Problem
  const { state, error } = await endedOver(api, ((await response.json()) as Job).id)
  assert.equal(state, 'failed')
  assert.ok(error)
  return error
}

const auth = (password: string) => ({
  'x-registry-auth': Buffer.from(
    JSON.stringify({ username: 'myuser', password, serveraddress: registry.host }),
  ).toString('base64url'),
})

function publishing(path: string, more: Record<string, unknown> = {}) {
  return { kind: 'publish', source: `file:${encodeURI(path)}`, destination: `oci://${registry.host}/team`, ...more }
}

describe('a bad package fails the job with what is wrong with it and what to do', () => {
  for (const [index, { name, options, code, message }] of BAD_ARCHIVES.entries()) {
    test(name, async () => {
      const folder = join(root, `bad-${index}`)
      await mkdir(folder)
      // Both formats in turn; the unit tests have each archive in both.
      const { path } = await buildPackage(folder, { ...options, format: index % 2 === 0 ? 'tar.zst' : 'tar' })
      const error = await failure(publishing(path), auth('mypass'))
      assert.equal(error.code, code)
      assert.match(error.detail, message)
      assert.ok(error.hint, 'it says what to do')
    })
  }

  const broken: [string, (bytes: Buffer) => Buffer, string, RegExp][] = [
    ['cut short', (bytes) => bytes.subarray(0, bytes.length / 2), 'PACKAGE_TRUNCATED', /met at the entry components\//],
    ['empty', () => Buffer.alloc(0), 'PACKAGE_TRUNCATED', /ends/],
    ['with a flipped byte', flipped, 'PACKAGE_INVALID', /damaged.*met at the entry components\//],
  ]
  for (const [name, damage, code, message] of broken) {
    test(`an archive ${name}`, async () => {
      const { path } = await buildPackage(root, { name: 'broken', layers: 3, layerBytes: 300_000 })
      await writeFile(path, damage(await readFile(path)))
      const error = await failure(publishing(path), auth('mypass'))
      assert.equal(error.code, code, error.detail)
      assert.match(error.detail, message)
      assert.match(error.hint ?? '', /copy it again/)
    })
  }

  const identities: [string, PackageOptions, string, RegExp][] = [
    ['a + in the version', { version: '1.0.0+b.5' }, 'TAG_INVALID', /options\.tag.*1\.0\.0_b\.5/],
    ['no version', { version: null }, 'PACKAGE_VERSION_MISSING', /metadata\.version/],
    [
      'an unpacked folder without checksums.txt',
      { format: 'directory', tamper: { entries: noChecksums } },
      'PACKAGE_INVALID',
      /with zarf/,
    ],
  ]
  for (const [name, options, code, hint] of identities) {
    test(name, async () => {
      const { path } = await buildPackage(root, { ...options, name: 'identity' })
      const error = await failure(publishing(path), auth('mypass'))
      assert.equal(error.code, code, error.detail)
      assert.match(error.hint ?? '', hint)
    })
  }
})

test('what can be known before is refused at the POST and names the field', async () => {
  const { path } = await buildPackage(root, { name: 'fine' })
  const cases: [unknown, string, RegExp, string?][] = [
    [publishing('/etc/hostname'), 'PACKAGE_OUTSIDE_ROOTS', /\/etc\/hostname lies outside/, '/source'],
    [publishing(`${root}/../../etc/hostname`), 'PACKAGE_OUTSIDE_ROOTS', /lies outside/, '/source'],
    [publishing(`${root}/absent.tar.zst`), 'PACKAGE_NOT_FOUND', /absent\.tar\.zst/, '/source'],
    [
      publishing(path, { destination: 'oci://r.io:99999/x' }),
      'REFERENCE_INVALID',
      /99999 is not a port/,
      '/destination',
    ],
    [publishing(path, { destination: 'oci://r.io/Team' }), 'REFERENCE_INVALID', /"Team" cannot be/, '/destination'],
    [publishing(path, { colour: 'red' }), 'BODY_INVALID', /no field "colour"/, '/colour'],
    [publishing(path, { options: { concurrency: 0 } }), 'BODY_INVALID', /must be 1 or more/, '/options/concurrency'],
    [[], 'BODY_INVALID', /must be an object/],
    [
      { kind: 'pull', source: 'r.io/x/y:1', destination: 'file:/etc/' },
      'PACKAGE_OUTSIDE_ROOTS',
      /write/,
      '/destination',
    ],
  ]
  for (const [body, code, detail, pointer] of cases) {
    const problem = await failure(body)
    assert.equal(problem.code, code, JSON.stringify(problem))
    assert.match(problem.detail, detail)
    if (pointer !== undefined) assert.equal(problem.errors?.[0]?.pointer, pointer)
  }
  for (const headers of [
    { host: 'evil.example' },
    { origin: 'http://evil.example' },
    { 'sec-fetch-site': 'cross-site' },
  ]) {
    const status = await rawStatus(headers)
    assert.equal(status, 'host' in headers ? 421 : 403)
  }
})

test('a registry that cannot or will not take it is named, with what it said', async (t) => {
  const { path } = await buildPackage(root, { name: 'fine' })
  const page = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<html><body>Welcome to the proxy</body></html>')
  })
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve))
  t.after(() => page.close())
  const proxy = `127.0.0.1:${(page.address() as AddressInfo).port}`
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: 'x/y', digest: digestOf(Buffer.from('{}')), size: 2 },
      layers: [],
    }),
  )
  source.putBlob('bare/fine', Buffer.from('{}'))
  source.manifests.put('bare/fine', '1.0.0', MANIFEST, bytes)
  const cases: [string, Record<string, string>, string, RegExp][] = [
    [
      `oci://${registry.host}/team`,
      {},
      'REGISTRY_UNAUTHORIZED',
      /X-Registry-Auth header of the job, by layerd login, or by docker login/,
    ],
    [`oci://${registry.host}/team`, auth('wrong'), 'REGISTRY_UNAUTHORIZED', /did not take the user "myuser"/],
    ['oci://no-such-host.invalid/team', {}, 'REGISTRY_UNKNOWN_HOST', /spelling/],
    [`oci://${proxy}/team`, {}, 'REGISTRY_PROTOCOL_VIOLATION', /a proxy, a login page/],
    [`oci://${source.host}/bare`, {}, 'TAG_NOT_INDEX', /options\.tag/],
  ]
  for (const [destination, headers, code, hint] of cases) {
    const error = await failure(publishing(path, { destination }), headers)
    assert.equal(error.code, code, JSON.stringify(error))
    assert.equal(error.upstream?.registry, destination.split('/')[2])
    assert.match(error.hint ?? '', hint)
  }
  assert.deepEqual(source.manifests.get('bare/fine', '1.0.0')?.bytes, bytes)
})

const ONE = Buffer.alloc(100_000, 'one')
const TWO = Buffer.alloc(50_000, 'two')

describe('a pull of what is not as it says fails by name of the layer, and keeps nothing', () => {
  const cases: [string, (layers: SyntheticLayer[]) => SyntheticLayer[], string, RegExp][] = [
    ['a layer that is another', served(Buffer.alloc(100_000, 'other')), 'DIGEST_MISMATCH', /components\/one\.tar/],
    [
      'a layer that is too long',
      served(Buffer.alloc(100_001, 'one')),
      'SIZE_MISMATCH',
      /components\/one\.tar .*100001 bytes, expected 100000/,
    ],
    [
      'a layer that is too short',
      served(ONE.subarray(0, 9)),
      'SIZE_MISMATCH',
      /components\/one\.tar .*9 bytes, expected 100000/,
    ],
    [
      'a manifest that lies about a size',
      (layers) => layers.map((layer) => (layer.bytes === ONE ? { ...layer, lie: { size: 5 } } : layer)),
      'SIZE_MISMATCH',
      /components\/one\.tar .*100000 bytes, expected 5/,
    ],
    [
      'a title that leaves the package',
      (layers) => [...layers, { title: '../evil', bytes: TWO }],
      'PACKAGE_UNSAFE_PATH',
      /"\.\.\/evil"/,
    ],
    [
      'a title twice',
      (layers) => [...layers, { title: 'components/one.tar', bytes: TWO }],
      'PACKAGE_INVALID',
      /components\/one\.tar twice/,
    ],
    [
      'a file that is missing',
      (layers) => layers.filter(({ bytes }) => bytes !== TWO),
      'PACKAGE_INVALID',
      /does not hold components\/two\.tar/,
    ],
    [
      'a file too many',
      (layers) => [...layers, { title: 'components/more.tar', bytes: TWO }],
      'PACKAGE_INVALID',
      /holds components\/more\.tar/,
    ],
  ]
  for (const [index, [name, change, code, message]] of cases.entries()) {
    test(name, async () => {
      const repository = `pulled/case-${index}`
      const layers = change(packageFiles({ 'components/one.tar': ONE, 'components/two.tar': TWO }))
      putPackage(source, { repository, tag: '1' }, layers)
      for (const { served, bytes } of layers as ServedLayer[]) {
        if (served) source.putBlob(repository, served, digestOf(bytes))
      }
      const error = await failure({ kind: 'pull', source: `oci://${source.host}/${repository}:1` })
      assert.equal(error.code, code, JSON.stringify(error))
      assert.match(error.detail, message)
      assert.ok(error.hint, 'it says what to do')
      assert.deepEqual([error.upstream?.registry, error.upstream?.repository], [source.host, repository])
    })
  }
})

test('and nothing is left behind: no tag, no upload, no package', async () => {
  const headers = { authorization: `Basic ${Buffer.from('myuser:mypass').toString('base64')}` }
  const { repositories } = (await (await fetch(`${registry.url}/v2/_catalog`, { headers })).json()) as {
    repositories: string[]
  }
  for (const repository of repositories) {
    const tags = (await (await fetch(`${registry.url}/v2/${repository}/tags/list`, { headers })).json()) as {
      tags?: string[] | null
    }
    assert.deepEqual(tags.tags ?? [], [], repository)
  }
  assert.deepEqual(await readdir(join(dataDir, 'uploads')), [])
  const { items } = (await (await fetch(`${api}/v1/packages`)).json()) as { items: unknown[] }
  assert.deepEqual(items, [])
})

type ServedLayer = SyntheticLayer & { served?: Buffer }

/** The registry gives these bytes for the first layer, whatever its digest says. */
function served(bytes: Buffer) {
  return (layers: SyntheticLayer[]): ServedLayer[] =>
    layers.map((layer) => (layer.bytes === ONE ? { ...layer, served: bytes } : layer))
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  const middle = Math.floor(copy.length / 2)
  copy[middle] = (copy[middle] ?? 0) ^ 1
  return copy
}

function noChecksums<T extends { header: { name: string } }>(entries: T[]): T[] {
  return entries.filter(({ header }) => header.name !== 'checksums.txt')
}

/** fetch sets some headers itself. */
async function rawStatus(headers: Record<string, string>): Promise<number> {
  const { request } = await import('undici')
  const response = await request(`${api}/v1/jobs`, { headers })
  await response.body.dump()
  return response.statusCode
}
