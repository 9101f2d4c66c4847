import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { FIXTURES, publishedIndex, publishedManifest } from '../helpers/packages/fixtures.ts'
import { readPackage } from '../helpers/packages/pulling.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Scene, toolbox } from './scene.ts'

const INDEX = digestOf(publishedIndex('nemo'))
const scene = new Scene()
before(async () => {
  await scene.start()
  for (const path of [FIXTURES.nemoAmd64, FIXTURES.nemoArm64]) await scene.publish(path, 'team')
})
after(() => scene[Symbol.asyncDispose]())

describe('a package that layerd published is copied on, and copied back by layerd', () => {
  const from = () => `${scene.host}/team/nemo:1.2.0`
  const to = (tool: string) => `${scene.host}/by-${tool}/nemo:1.2.0`
  for (const [tool, args] of [
    ['oras', (source: string, target: string) => ['cp', '-r', '--from-plain-http', '--to-plain-http', source, target]],
    ['crane', (source: string, target: string) => ['copy', '--insecure', source, target]],
    [
      'regctl',
      (source: string, target: string) => ['image', 'copy', '--host', `reg=${scene.host},tls=disabled`, source, target],
    ],
    [
      'skopeo',
      (source: string, target: string) => [
        'copy',
        '--all',
        '--insecure-policy',
        '--src-tls-verify=false',
        '--dest-tls-verify=false',
        `docker://${source}`,
        `docker://${target}`,
      ],
    ],
  ] as const) {
    test(`by ${tool}`, async (t) => {
      if (skipWithout(t, tool)) return
      const run = await toolbox(t)
      await run(tool, args(from(), to(tool)))
      const { indexDigest, architectures } = await scene.copy(`by-${tool}/nemo:1.2.0`, `back-from-${tool}`)
      assert.deepEqual([indexDigest, architectures], [INDEX, ['amd64', 'arm64']])
    })
  }
})

test('oras pulls the files of a package, and what it pushed is copied as it is', async (t) => {
  if (skipWithout(t, 'oras')) return
  const folder = await tempDir(t)
  const oras = await toolbox(t)
  const reference = `${scene.host}/team/nemo@${digestOf(publishedManifest('nemo'))}`
  await oras('oras', ['pull', '--plain-http', '-o', folder, reference])
  for (const [path, bytes] of (await readPackage(FIXTURES.nemoAmd64)).files) {
    assert.deepEqual(await readFile(join(folder, path)), bytes, path)
  }
  await writeFile(join(folder, 'notes.txt'), 'notes')
  const pushed = [
    'push',
    '--plain-http',
    '--artifact-type',
    'application/vnd.example.notes',
    '--format',
    'go-template={{.digest}}',
  ]
  const digest = await oras('oras', [...pushed, `${scene.host}/things/notes:1`, 'notes.txt'], folder)
  assert.equal((await scene.copy('things/notes:1', 'things-copy')).digest, digest)
  await mkdir(join(folder, 'back'))
  await oras('oras', ['pull', '--plain-http', `${scene.host}/things-copy/notes:1`], join(folder, 'back'))
  assert.equal(await readFile(join(folder, 'back', 'notes.txt'), 'utf8'), 'notes')
})

test('helm pulls the chart that it pushed and layerd copied', async (t) => {
  if (skipWithout(t, 'helm')) return
  const folder = await tempDir(t)
  const run = await toolbox(t)
  const helm = (...args: string[]) => run('helm', args, folder)
  await helm('create', 'harbour')
  await helm('package', 'harbour')
  await helm('push', 'harbour-0.1.0.tgz', `oci://${scene.host}/charts`, '--plain-http')
  await scene.copy('charts/harbour:0.1.0', 'charts-copy')
  const place = `oci://${scene.host}/charts-copy/harbour`
  await mkdir(join(folder, 'back'))
  await helm('pull', place, '--version', '0.1.0', '--plain-http', '-d', join(folder, 'back'))
  const [made, back] = [join(folder, 'harbour-0.1.0.tgz'), join(folder, 'back', 'harbour-0.1.0.tgz')]
  assert.deepEqual(await readFile(back), await readFile(made))
})

describe('cosign', () => {
  test('verifies zarf.yaml of a package by the signature that is kept through publish and copy', async (t) => {
    if (skipWithout(t, 'cosign', 'oras')) return
    const folder = await tempDir(t)
    const run = await toolbox(t)
    const { digest } = await scene.publish(FIXTURES.signedNemo, 'signed')
    await scene.copy('signed/nemo:1.2.0', 'signed-copy')
    await run('oras', ['pull', '--plain-http', '-o', folder, `${scene.host}/signed-copy/nemo@${digest}`])
    // Without one it would look for Sigstore's own in the internet; a key needs none of it.
    const root = join(folder, 'trusted-root.json')
    await writeFile(root, '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    const args = ['verify-blob', '--insecure-ignore-tlog', '--trusted-root', root, '--key', FIXTURES.signedNemoKey]
    await run('cosign', [...args, '--bundle', join(folder, 'zarf.bundle.sig'), join(folder, 'zarf.yaml')])
  })

  test('finds its signature of an artifact where layerd copied that to', async (t) => {
    if (skipWithout(t, 'cosign', 'oras')) return
    const folder = await tempDir(t)
    const run = await toolbox(t, { COSIGN_PASSWORD: '' })
    await writeFile(join(folder, 'thing.txt'), 'thing')
    await run('oras', ['push', '--plain-http', `${scene.host}/signed-things/thing:1`, 'thing.txt'], folder)
    await run('cosign', ['generate-key-pair'], folder)
    const insecure = ['--allow-insecure-registry', '--allow-http-registry']
    const offline = ['--tlog-upload=false', '--use-signing-config=false', '-y']
    await run(
      'cosign',
      ['sign', ...offline, ...insecure, '--key', 'cosign.key', `${scene.host}/signed-things/thing:1`],
      folder,
    )
    await scene.copy('signed-things/thing:1', 'copied-things')
    const there = `${scene.host}/copied-things/thing:1`
    await run('cosign', ['verify', '--insecure-ignore-tlog', ...insecure, '--key', 'cosign.pub', there], folder)
  })
})
