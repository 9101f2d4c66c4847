import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { type DockerRegistry, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'

/** What nemo holds, under the tags that zarf v0.84 gives it. */
const IMAGES = {
  anchor: 'sha256:02ee41273469f5a2d9c6f0b188c30af7ca768c90abae659d4f403a4fbf94e0df',
  compass: 'sha256:394fdaa5c56223b6f071f70096954e22b8f2d01a1ee297db3ce07693df29c929',
  diver: 'sha256:a0186b13fa8580559d59621a76674f220178de385d28780cfdf9a5e670cb6059',
} as const
const ACCEPT = 'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json'

describe('mirror', () => {
  const stack = new CleanupStack()
  let registry: DockerRegistry
  let api: string
  let root: string

  before(async () => {
    registry = await startDockerRegistry(stack)
    root = await tempDir(stack, 'root')
    const env = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: `${root}:${join(FIXTURES.nemoAmd64, '..')}` }
    api = await readyUrl(await startLayerd(stack, { dataDir: await shortTempDir(stack), env }))
    await succeeded({
      kind: 'publish',
      source: `file:${FIXTURES.nemoAmd64}`,
      destination: `oci://${registry.host}/team`,
    })
  })
  after(() => stack[Symbol.asyncDispose]())

  async function run(body: Record<string, unknown>): Promise<Job> {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${api}/v1/jobs`, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    assert.equal(response.status, 202, text)
    return await endedOver(api, (JSON.parse(text) as Job).id)
  }

  async function succeeded(body: Record<string, unknown>): Promise<NonNullable<Job['result']>> {
    const { state, result, error } = await run(body)
    assert.equal(state, 'succeeded', JSON.stringify(error))
    assert.ok(result)
    return result
  }

  const mirrored = (source: string, namespace: string, options: Record<string, unknown> = {}) =>
    succeeded({ kind: 'mirror', source, destination: `oci://${registry.host}/${namespace}`, options })

  const tagsOf = async (repository: string): Promise<string[]> => {
    const response = await fetch(`${registry.url}/v2/${repository}/tags/list`)
    if (response.status === 404) return []
    return ((await response.json()) as { tags: string[] | null }).tags?.toSorted() ?? []
  }

  /** The image is there under the tag, byte for byte, with all that it names. */
  async function assertWhole(repository: string, tag: string, digest: string): Promise<void> {
    const found = await fetch(`${registry.url}/v2/${repository}/manifests/${tag}`, { headers: { accept: ACCEPT } })
    assert.equal(found.status, 200, `${repository}:${tag}`)
    assert.equal(found.headers.get('content-type'), 'application/vnd.docker.distribution.manifest.v2+json')
    const bytes = Buffer.from(await found.arrayBuffer())
    assert.equal(digestOf(bytes), digest)
    const { config, layers } = JSON.parse(bytes.toString()) as Record<'config', { digest: string }> & {
      layers: { digest: string }[]
    }
    for (const blob of [config, ...layers]) {
      const response = await fetch(`${registry.url}/v2/${repository}/blobs/${blob.digest}`)
      assert.equal(digestOf(Buffer.from(await response.arrayBuffer())), blob.digest)
    }
  }

  async function assertAllThere(namespace: string): Promise<void> {
    for (const [name, digest] of Object.entries(IMAGES)) {
      const repository = `${namespace}/apps/${name}`
      const tags = await tagsOf(repository)
      assert.equal(tags.length, 2)
      assert.match(tags[1] ?? '', /^1\.0-zarf-\d+$/)
      for (const tag of tags) await assertWhole(repository, tag, digest)
    }
  }

  test('out of a registry: blobs are linked, and each image has its own tag and that for zarf’s agent', async () => {
    const job = await run({
      kind: 'mirror',
      source: `oci://${registry.host}/team/nemo:1.2.0`,
      destination: `oci://${registry.host}/from-registry`,
    })
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    const { result, progress } = job
    assert.deepEqual(
      [result?.reference, result?.name, result?.version, result?.images?.length],
      [`oci://${registry.host}/from-registry`, 'nemo', '1.2.0', 3],
    )
    assert.deepEqual(result?.images?.[0], {
      image: 'localhost:5601/apps/anchor:1.0',
      digest: IMAGES.anchor,
      references: ['1.0-zarf-3929175591', '1.0'].map(
        (tag) => `oci://${registry.host}/from-registry/apps/anchor:${tag}`,
      ),
    })
    await assertAllThere('from-registry')
    assert.deepEqual([progress.bytesSent, progress.bytesDone], [0, result?.bytes])
  })

  test('out of an archive, an upload, a folder and the store it is the same', async () => {
    const folder = join(root, 'nemo')
    await runProcess(stack, 'mkdir', ['-p', folder])
    await runProcess(stack, 'tar', ['--zstd', '-xf', FIXTURES.nemoAmd64, '-C', folder])
    const upload = await fetch(`${api}/v1/uploads/${basename(FIXTURES.nemoAmd64)}`, {
      method: 'PUT',
      body: await readFile(FIXTURES.nemoAmd64),
    })
    const { id } = (await upload.json()) as { id: string }
    const { digest } = await succeeded({ kind: 'pull', source: `oci://${registry.host}/team/nemo:1.2.0` })
    for (const [name, source] of Object.entries({
      archive: `file:${FIXTURES.nemoAmd64}`,
      upload: `upload:${id}`,
      folder: `file:${folder}`,
      stored: `store:${digest}`,
    })) {
      const result = await mirrored(source, `from-${name}`)
      assert.deepEqual([result.digest, result.images?.length], [digest, 3], name)
      await assertAllThere(`from-${name}`)
    }
  })

  test('of chosen components and images these alone, and without the checksum one tag each', async () => {
    const source = `oci://${registry.host}/team/nemo:1.2.0`
    const byComponent = await mirrored(source, 'chosen', { components: ['instruments'], imageChecksum: false })
    assert.deepEqual(
      byComponent.images?.map(({ references }) => references),
      [[`oci://${registry.host}/chosen/apps/compass:1.0`], [`oci://${registry.host}/chosen/apps/anchor:1.0`]],
    )
    const byName = await mirrored(source, 'named', { images: ['*/apps/diver:1.0'] })
    assert.deepEqual(
      byName.images?.map(({ digest }) => digest),
      [IMAGES.diver],
    )
    assert.deepEqual(await tagsOf('chosen/apps/diver'), [])
    const none = await mirrored(source, 'none', { components: ['library'] })
    assert.deepEqual([none.images, none.layers, none.bytes], [[], 0, 0])
  })

  test('a dry run tells what would be linked and sent, and writes nothing', async () => {
    const near = await mirrored(`oci://${registry.host}/team/nemo:1.2.0`, 'dry', { dryRun: true })
    assert.deepEqual(
      [near.plan?.problems, near.plan?.blobsToMount, near.plan?.blobsToMove, near.plan?.mountFrom],
      [[], near.layers, 0, ['team/nemo']],
    )
    const far = await mirrored(`file:${FIXTURES.nemoAmd64}`, 'dry', { dryRun: true })
    assert.deepEqual([far.plan?.blobsToMove, far.plan?.bytesToMove], [far.layers, far.bytes])
    assert.deepEqual(await tagsOf('dry/apps/anchor'), [])
  })

  test('an image that the package names and does not hold: it says which, and nothing is written', async () => {
    const metadata = { name: 'lost' }
    const { path } = await buildPackage(root, {
      name: 'lost',
      metadata,
      files: {
        'images/index.json': '{"schemaVersion":2,"manifests":[]}',
        'images/oci-layout': '{"imageLayoutVersion":"1.0.0"}',
      },
      tamper: {
        definition: (text) =>
          text.replace(/^( *)- name: (.*)$/m, '$1- name: $2\n$1  images: ["ghcr.io/team/gone:1.0"]'),
      },
    })
    const { state, error } = await run({
      kind: 'mirror',
      source: `file:${path}`,
      destination: `oci://${registry.host}/lost`,
    })
    assert.deepEqual([state, error?.code], ['failed', 'PACKAGE_INVALID'])
    assert.match(error?.detail ?? '', /ghcr\.io\/team\/gone:1\.0/)
    assert.deepEqual(await tagsOf('lost/team/gone'), [])
  })

  test('no destination, a bundle, a component that is not there: each is refused with what to do', async () => {
    const source = `oci://${registry.host}/team/nemo:1.2.0`
    const response = await fetch(`${api}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'mirror', source }),
    })
    const { code } = (await response.json()) as { code: string }
    assert.deepEqual([response.status, code], [400, 'BODY_INVALID'])
    const destination = `oci://${registry.host}/x`
    const bundle = await run({ kind: 'mirror', source: `file:${FIXTURES.armadaBundle}`, destination })
    assert.deepEqual([bundle.state, bundle.error?.code], ['failed', 'PACKAGE_FORMAT_UNSUPPORTED'])
    const unknown = await run({ kind: 'mirror', source, destination, options: { components: ['engine'] } })
    assert.deepEqual([unknown.state, unknown.error?.code], ['failed', 'COMPONENTS_INVALID'])
  })
})
