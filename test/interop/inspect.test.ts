import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Scene, toolbox } from './scene.ts'

const scene = new Scene()
before(() => scene.start())
after(() => scene[Symbol.asyncDispose]())

async function zarfIn(t: TestContext, cwd: string) {
  const run = await toolbox(t)
  return (...args: string[]) => run('zarf', [...args, '--no-color', '-a', 'amd64'], cwd)
}

const MANIFEST = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: greeting\n'
const VALUES = 'replicas: 2\n'
const FILES = {
  'zarf.yaml': `kind: ZarfPackageConfig
metadata:
  name: shown
  version: 0.3.0
documentation:
  readme: README.md
  guide: guide.md
components:
- name: web
  manifests:
  - name: greeting
    namespace: web
    files:
    - greeting.yaml
  charts:
  - name: web
    version: 0.1.0
    localPath: chart
    namespace: web
    valuesFiles:
    - values.yaml
- name: tools
  files:
  - source: tool.txt
    target: tool.txt
`,
  'README.md': '# Readme\n',
  'guide.md': '# Guide\n',
  'greeting.yaml': MANIFEST,
  'values.yaml': VALUES,
  'tool.txt': 'tool\n',
  'chart/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 0.1.0\n',
  'chart/templates/none.yaml': '# nothing\n',
}

const view = async <T>(reference: string, path: string): Promise<T> => {
  const answer = await fetch(`${scene.api}/v1/remote-packages/${path}?ref=${encodeURIComponent(reference)}`)
  assert.equal(answer.status, 200, path)
  return (await answer.json()) as T
}

/** Each file that zarf unpacked is what layerd lists and serves. */
async function assertServed(reference: string, list: string, folder: string): Promise<void> {
  const names = (await readdir(folder)).toSorted()
  const { files } = await view<{ files: { name: string }[] }>(reference, list)
  assert.deepEqual(files.map(({ name }) => name).toSorted(), names)
  assert.ok(names.length > 1)
  for (const name of names) {
    const url = `${scene.api}/v1/remote-packages/${list}/${name}?ref=${encodeURIComponent(reference)}`
    const bytes = Buffer.from(await (await fetch(url)).arrayBuffer())
    assert.ok(bytes.equals(await readFile(join(folder, name))), name)
  }
}

test('layerd tells of a package that zarf made what zarf tells', async (t) => {
  if (skipWithout(t, 'zarf')) return
  const folder = await tempDir(t)
  for (const [name, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  const zarf = await zarfIn(t, folder)
  await zarf('package', 'create', folder, '--confirm', '-o', folder)
  const archive = join(folder, 'zarf-package-shown-amd64-0.3.0.tar.zst')
  await zarf('package', 'publish', archive, `oci://${scene.host}/made`, '--plain-http')
  const reference = `oci://${scene.host}/made/shown:0.3.0`
  const look = (what: string, ...more: string[]) => zarf('package', 'inspect', what, reference, '--plain-http', ...more)

  const { digest } = await view<{ digest: string }>(reference, 'digest')
  assert.equal(`${digest}\n`, await look('digest'))
  await look('documentation', '--output', folder)
  await assertServed(reference, 'documentation', join(folder, 'shown-documentation'))
  await look('sbom', '--output', folder)
  await assertServed(reference, 'sboms', join(folder, 'shown'))

  type Texts = { components: { name: string; files: { name: string; content: string }[] }[] }
  const manifests = await view<Texts>(reference, 'manifests')
  assert.deepEqual(
    manifests.components[0]?.files.map(({ content }) => content),
    [MANIFEST],
  )
  assert.ok((await look('manifests')).includes(`#source: ${manifests.components[0]?.files[0]?.name}\n${MANIFEST}`))
  const values = await view<Texts>(reference, 'values')
  assert.deepEqual(
    values.components[0]?.files.map(({ content }) => content),
    [VALUES],
  )
  assert.ok((await look('values-files')).includes(VALUES))
})

test('images and digest of a package that layerd published are those that zarf tells', async (t) => {
  if (skipWithout(t, 'zarf')) return
  await scene.publish(FIXTURES.nemoAmd64, 'told')
  const reference = `oci://${scene.host}/told/nemo:1.2.0`
  const zarf = await zarfIn(t, await tempDir(t))
  const { images } = await view<{ images: string[] }>(reference, 'images')
  const told = await zarf('package', 'inspect', 'images', reference, '--plain-http')
  const named = told.split('\n').map((line) => line.replace(/^- /, '').trim())
  assert.deepEqual(named.filter((line) => line !== '').toSorted(), images.toSorted())
})
