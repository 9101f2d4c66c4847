import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { OCI_MANIFEST } from '../../src/content/media-types.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
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

describe('a Helm chart has the digest that helm push gives it, and helm pulls it', () => {
  const charts = {
    plain: 'apiVersion: v2\nname: plain\nversion: 0.1.0\nappVersion: "1.10"\n',
    full: `apiVersion: v2
name: full
version: 1.2.3-rc.1+build.7
description: "a <b> & c\\tand é\\u200b"
type: application
home: https://home.example/?a=1&b=2
icon: https://icon.example
kubeVersion: ">=1.20.0-0"
deprecated: true
keywords: [one, two]
sources: [https://source.example/a, https://source.example/b]
maintainers:
  - name: Ann
    email: ann@example.org
  - name: Bob
    url: https://bob.example
dependencies:
  - name: dep
    version: ">=1.0.0"
    repository: https://charts.example
    condition: dep.enabled
    tags: [a]
    alias: other
    import-values: [data, {child: a, parent: b}]
annotations:
  "10": ten
  "9": nine
  org.example.note: "<x>"
  org.opencontainers.image.title: a lie
  org.opencontainers.image.source: https://own.example
`,
    old: 'name: old\nversion: 0.1.0\n',
  }
  for (const [name, yaml] of Object.entries(charts)) {
    test(name, async (t) => {
      if (skipWithout(t, 'helm')) return
      const folder = await tempDir(t)
      const run = await toolbox(t, { TZ: 'Asia/Kolkata' })
      await mkdir(join(folder, name, 'templates'), { recursive: true })
      await writeFile(join(folder, name, 'Chart.yaml'), yaml)
      await writeFile(join(folder, name, 'values.yaml'), 'a: 1\n')
      if (name === 'old') {
        const dependency = '- name: dep\n  version: 1.0.0\n  repository: ""\n'
        await writeFile(join(folder, name, 'requirements.yaml'), `dependencies:\n${dependency}`)
      }
      const version = /^version: (.*)$/m.exec(yaml)?.[1] ?? ''
      const file = `${name}-${version}.tgz`
      // As helm package does, which wants dependencies that are not there.
      await runProcess(t, 'tar', ['-czf', file, name], { cwd: folder })
      const pushed = await run('helm', ['push', file, `oci://${scene.host}/theirs`, '--plain-http'], folder)
      const created = { 'org.opencontainers.image.created': await createdBy(name, version) }
      const ours = await scene.job({
        kind: 'publish',
        source: await scene.upload(join(folder, file)),
        destination: `oci://${scene.host}/ours`,
        options: { annotations: created },
      })
      const tag = version.replaceAll('+', '_')
      assert.equal(ours.reference, `oci://${scene.host}/ours/${name}:${tag}`)
      assert.equal(ours.digest, await headDigest(`theirs/${name}`, tag), pushed)
      await run('helm', ['pull', `oci://${scene.host}/ours/${name}`, '--version', version, '--plain-http'], folder)
      const back = join(folder, 'back')
      await mkdir(back)
      const pull = ['pull', `oci://${scene.host}/ours/${name}`, '--version', version, '--plain-http', '-d', back]
      await run('helm', pull, folder)
      assert.deepEqual(await readFile(join(back, file)), await readFile(join(folder, file)))
    })
  }

  const manifestOf = async (repository: string, tag: string) =>
    await fetch(`http://${scene.host}/v2/${repository}/manifests/${tag}`, { headers: { accept: OCI_MANIFEST } })
  const headDigest = async (repository: string, tag: string) =>
    (await manifestOf(repository, tag)).headers.get('docker-content-digest')
  const createdBy = async (name: string, version: string): Promise<string> => {
    const response = await manifestOf(`theirs/${name}`, version.replaceAll('+', '_'))
    const { annotations } = (await response.json()) as { annotations: Record<string, string> }
    return annotations['org.opencontainers.image.created'] ?? ''
  }
})

test('a chart of a folder is as old as its file, and its provenance goes along; both come back under their own names', async (t) => {
  if (skipWithout(t, 'helm')) return
  const folder = scene.root
  const run = await toolbox(t)
  await run('helm', ['create', 'harbour'], folder)
  await run('helm', ['package', 'harbour'], folder)
  await writeFile(join(folder, 'harbour-0.1.0.tgz.prov'), 'signed\n')
  const { output } = await runProcess(
    t,
    findProgram('helm') ?? '',
    ['push', 'harbour-0.1.0.tgz', `oci://${scene.host}/helms`, '--plain-http'],
    { cwd: folder },
  )
  const source = `file:${folder}/harbour-0.1.0.tgz`
  const ours = await scene.job({ kind: 'publish', source, destination: `oci://${scene.host}/ours` })
  assert.match(output, new RegExp(`Digest: ${ours.digest}`))
  const pull = { kind: 'pull', source: `oci://${scene.host}/helms/harbour:0.1.0` }
  await scene.job({ ...pull, destination: `file:${folder}/back/`, options: { form: 'files' } })
  for (const name of ['harbour-0.1.0.tgz', 'harbour-0.1.0.tgz.prov']) {
    assert.deepEqual(await readFile(join(folder, 'back', name)), await readFile(join(folder, name)))
  }
})
