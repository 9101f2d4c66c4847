import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Cleanup } from '../helpers/cleanup.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Scene, toolbox } from './scene.ts'

const CREATED = 'org.opencontainers.image.created'
const TIME = '2026-11-30T12:00:00Z'

const scene = new Scene()
before(() => scene.start())
after(() => scene[Symbol.asyncDispose]())

const DIGEST = ['--format', 'go-template={{.digest}}', '--plain-http', '--annotation', `${CREATED}=${TIME}`]

/** Files of these names, each holding its name and more. */
async function folderOf(t: Cleanup, ...names: string[]): Promise<string> {
  const folder = await tempDir(t)
  for (const name of names) await writeFile(join(folder, name), `${name} <&> \u2028 é\n`)
  return folder
}

describe('what layerd makes of files is what oras makes of them', () => {
  const publish = (name: string, options: Record<string, unknown>) =>
    scene.job({
      kind: 'publish',
      source: 'files:',
      destination: `oci://${scene.host}/ours`,
      options: { name, ...options },
    })

  test('files with types, titles and annotations', async (t) => {
    if (skipWithout(t, 'oras')) return
    const folder = await folderOf(t, 'a.txt', 'b.json')
    const oras = await toolbox(t)
    const type = 'application/vnd.example.notes'
    const notes = { 'org.example.z': '<one> & two', 'org.example.a': 'é' }
    const said = Object.entries(notes).flatMap(([key, value]) => ['--annotation', `${key}=${value}`])
    const files = ['a.txt:text/plain', 'b.json']
    const theirs = await oras(
      'oras',
      ['push', ...DIGEST, ...said, '--artifact-type', type, `${scene.host}/theirs/notes:1`, ...files],
      folder,
    )
    const [a, b] = await Promise.all(['a.txt', 'b.json'].map((name) => scene.upload(join(folder, name))))
    const ours = await publish('notes', {
      tag: '1',
      artifactType: type,
      annotations: { ...notes, [CREATED]: TIME },
      files: [{ source: a, mediaType: 'text/plain' }, { source: b }],
    })
    assert.deepEqual([ours.digest, ours.artifactType, ours.layers], [theirs, type, 2])
    assert.equal(ours.reference, `oci://${scene.host}/ours/notes:1`)
    await mkdir(join(folder, 'back'))
    await oras('oras', ['pull', '--plain-http', `${scene.host}/ours/notes:1`], join(folder, 'back'))
    for (const name of ['a.txt', 'b.json']) {
      assert.deepEqual(await readFile(join(folder, 'back', name)), await readFile(join(folder, name)), name)
    }
  })

  test('no type, a config with a type, no file at all', async (t) => {
    if (skipWithout(t, 'oras')) return
    const folder = await folderOf(t, 'a.txt', 'config.json')
    const oras = await toolbox(t)
    const push = (...args: string[]) => oras('oras', ['push', ...DIGEST, ...args], folder)
    const annotations = { [CREATED]: TIME }
    const [a, config] = await Promise.all(['a.txt', 'config.json'].map((name) => scene.upload(join(folder, name))))
    const plain = await publish('plain', { tag: '1', annotations, files: [{ source: a }] })
    assert.equal(plain.digest, await push(`${scene.host}/theirs/plain:1`, 'a.txt'))
    const type = 'application/vnd.example.config.v1+json'
    const configured = await publish('configured', {
      tag: '1',
      annotations,
      files: [{ source: a }],
      config: { source: config, mediaType: type },
    })
    const theirs = await push('--config', `config.json:${type}`, `${scene.host}/theirs/configured:1`, 'a.txt')
    assert.deepEqual([configured.digest, configured.artifactType], [theirs, type])
    const bare = await publish('bare', { tag: '1', annotations, artifactType: 'text/x', files: [] })
    assert.equal(bare.digest, await push('--artifact-type', 'text/x', `${scene.host}/theirs/bare:1`))
  })

  test('what is attached, found by the list under a tag', async (t) => {
    if (skipWithout(t, 'oras')) return
    const folder = await folderOf(t, 'a.txt', 'sbom.json')
    const oras = await toolbox(t)
    for (const place of ['ours', 'theirs']) {
      await oras('oras', ['push', ...DIGEST, `${scene.host}/${place}/held:1`, 'a.txt'], folder)
    }
    const type = 'application/spdx+json'
    const theirs = await oras(
      'oras',
      ['attach', ...DIGEST, '--artifact-type', type, `${scene.host}/theirs/held:1`, `sbom.json:${type}`],
      folder,
    )
    const source = await scene.upload(join(folder, 'sbom.json'))
    const ours = await publish('held', {
      subject: '1',
      artifactType: type,
      annotations: { [CREATED]: TIME },
      files: [{ source, mediaType: type }],
    })
    assert.deepEqual([ours.digest, ours.reference], [theirs, `oci://${scene.host}/ours/held@${theirs}`])
    const tree = await oras('oras', ['discover', '--plain-http', '--format', 'json', `${scene.host}/ours/held:1`])
    assert.match(tree, new RegExp(theirs))
  })
})
