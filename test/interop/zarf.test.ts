import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { FIXTURES, publishedIndex, publishedManifest, sharedFixture } from '../helpers/packages/fixtures.ts'
import { readPackage } from '../helpers/packages/pulling.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Scene, toolbox } from './scene.ts'

const scene = new Scene()
before(() => scene.start())
after(() => scene[Symbol.asyncDispose]())

async function zarfIn(t: TestContext, cwd?: string) {
  const run = await toolbox(t)
  return (...args: string[]) => run('zarf', [...args, '--plain-http', '--no-color', '-a', 'amd64'], cwd)
}

const oci = (path: string) => `oci://${scene.host}/${path}`

/** Files by name, however the archive has them ordered. */
async function filesOf(path: string): Promise<[string, Buffer][]> {
  return [...(await readPackage(path)).files].toSorted(([a], [b]) => (a < b ? -1 : 1))
}

async function saved(t: TestContext, archive: string, name: string): Promise<string> {
  const path = join(await tempDir(t), basename(name))
  await writeFile(path, Buffer.from(await (await fetch(archive)).arrayBuffer()))
  return path
}

describe('what layerd published', () => {
  test('zarf inspects, pulls and deploys', async (t) => {
    if (skipWithout(t, 'zarf')) return
    await scene.publish(FIXTURES.logbook, 'team')
    const folder = await tempDir(t)
    const zarf = await zarfIn(t, folder)
    const reference = oci('team/logbook:0.1.0')
    assert.match(await zarf('package', 'inspect', 'definition', reference), /name: logbook\n/)
    const digest = await zarf('package', 'inspect', 'digest', reference)
    assert.equal(digest.trim(), digestOf(publishedManifest('logbook')))
    await zarf('package', 'pull', reference, '-o', folder)
    assert.deepEqual(await filesOf(join(folder, basename(FIXTURES.logbook))), await filesOf(FIXTURES.logbook))
    await zarf('package', 'deploy', reference, '--confirm')
    assert.ok((await stat(join(folder, 'logbook-entry.txt'))).size > 0)
    await rm(join(folder, 'logbook-entry.txt'))
    await zarf('package', 'deploy', reference, '--components', 'write', '--confirm')
    assert.ok((await stat(join(folder, 'logbook-entry.txt'))).size > 0)
  })

  test('zarf shows images, manifests, values and SBOMs of', async (t) => {
    if (skipWithout(t, 'zarf')) return
    const folder = await tempDir(t)
    const zarf = await zarfIn(t, folder)
    await scene.publish(FIXTURES.nemoAmd64, 'shown')
    const reference = oci('shown/nemo:1.2.0')
    assert.match(await zarf('package', 'inspect', 'images', reference), /apps\/anchor:1\.0/)
    assert.match(await zarf('package', 'inspect', 'manifests', reference), /name: nemo, namespace: nemo/)
    assert.match(await zarf('package', 'inspect', 'values-files', reference), /associated chart: diver/)
    const withSboms = sharedFixture('with-sboms/zarf-package-nemo-amd64-1.2.0.tar.zst')
    const found = await stat(withSboms).catch(() => undefined)
    if (!found) return t.diagnostic(`${withSboms} is not here: SBOMs were not looked at`)
    // Outside the folders that the daemon reads, so it goes as an upload.
    const source = await scene.upload(withSboms)
    await scene.job({ kind: 'publish', source, destination: oci('sboms') })
    await zarf('package', 'inspect', 'sbom', oci('sboms/nemo:1.2.0'), '--output', folder)
    assert.ok((await readdir(join(folder, 'nemo'))).length > 3)
  })

  test('zarf verifies by its key, also what layerd copied and pulled', async (t) => {
    if (skipWithout(t, 'zarf')) return
    const zarf = await zarfIn(t)
    await scene.publish(FIXTURES.signedNemo, 'signed')
    await scene.copy('signed/nemo:1.2.0', 'signed-copy')
    const path = await saved(t, await scene.pull('signed-copy/nemo:1.2.0'), FIXTURES.signedNemo)
    for (const source of [oci('signed/nemo:1.2.0'), oci('signed-copy/nemo:1.2.0'), path]) {
      await zarf('package', 'verify', source, '--key', FIXTURES.signedNemoKey)
    }
  })

  test('zarf adds an architecture to, and layerd one to what zarf published', async (t) => {
    if (skipWithout(t, 'zarf')) return
    const zarf = await zarfIn(t)
    const index = digestOf(publishedIndex('nemo'))
    await scene.publish(FIXTURES.nemoAmd64, 'both')
    await zarf('package', 'publish', FIXTURES.nemoArm64, oci('both'))
    assert.equal((await scene.publish(FIXTURES.nemoArm64, 'both')).indexDigest, index)
    await zarf('package', 'publish', FIXTURES.nemoAmd64, oci('other'))
    assert.equal((await scene.publish(FIXTURES.nemoArm64, 'other')).indexDigest, index)
  })

  test('zarf copies on, and layerd what zarf copied', async (t) => {
    if (skipWithout(t, 'zarf')) return
    const zarf = await zarfIn(t)
    const { digest } = await scene.publish(FIXTURES.nemoAmd64, 'from')
    await zarf('package', 'publish', oci('from/nemo:1.2.0'), oci('by-zarf'))
    assert.equal((await scene.copy('by-zarf/nemo:1.2.0', 'back')).digest, digest)
    assert.equal((await zarf('package', 'inspect', 'digest', oci('back/nemo:1.2.0'))).trim(), digest)
  })
})

test('a skeleton that zarf published and layerd copied is imported from there', async (t) => {
  if (skipWithout(t, 'zarf')) return
  const folder = await tempDir(t)
  const zarf = await zarfIn(t, folder)
  const write = async (name: string, component: string, version = '1.0.0') => {
    await mkdir(join(folder, name, 'files'), { recursive: true })
    await writeFile(join(folder, name, 'files', 'a.txt'), 'bone')
    const definition = `kind: ZarfPackageConfig\nmetadata: {name: ${name}, version: ${version}}\ncomponents:\n  - name: alpha\n    required: true\n    ${component}\n`
    await writeFile(join(folder, name, 'zarf.yaml'), definition)
  }
  await write('bones', 'files: [{source: files/a.txt, target: a.txt}]')
  await zarf('package', 'publish', 'bones', oci('skeletons'))
  const { architecture } = await scene.copy('skeletons/bones:1.0.0', 'skeletons-copy')
  assert.equal(architecture, 'skeleton')
  await write('flesh', `import: {name: alpha, url: "${oci('skeletons-copy/bones:1.0.0')}"}`)
  await zarf('package', 'create', 'flesh', '--confirm', '--skip-sbom', '-o', folder)
  const made = await readPackage(join(folder, 'zarf-package-flesh-amd64-1.0.0.tar.zst'))
  assert.ok(made.files.get('components/alpha.tar')?.includes('bone'))
})

test('layerd pulls what zarf published, file by file', async (t) => {
  if (skipWithout(t, 'zarf')) return
  const zarf = await zarfIn(t)
  for (const path of [FIXTURES.nemoAmd64, FIXTURES.nemoArm64]) {
    await zarf('package', 'publish', path, oci('byzarf'))
  }
  for (const [architecture, path] of [
    ['amd64', FIXTURES.nemoAmd64],
    ['arm64', FIXTURES.nemoArm64],
  ] as const) {
    const found = await saved(t, await scene.pull('byzarf/nemo:1.2.0', { architecture }), path)
    assert.deepEqual(await filesOf(found), await filesOf(path))
    const digest = digestOf(publishedManifest('nemo', architecture))
    assert.equal((await zarf('package', 'inspect', 'digest', found)).trim(), digest)
    await zarf('package', 'publish', found, oci(`again-${architecture}`))
    assert.equal((await scene.copy(`again-${architecture}/nemo:1.2.0`, 'copies')).digest, digest)
  }
})

test('zarf and zstd accept what curl saved, whole or in halves that were fetched at once', async (t) => {
  if (skipWithout(t, 'zarf', 'zstd', 'curl')) return
  await scene.publish(FIXTURES.fleet, 'team')
  const archive = await scene.pull('team/fleet:0.0.1')
  const folder = await tempDir(t)
  const zarf = await zarfIn(t)
  const path = join(folder, basename(FIXTURES.fleet))
  const curl = (...args: string[]) => runProcess(t, 'curl', ['-sf', ...args], { cwd: folder })

  assert.equal((await curl('-OJ', archive)).code, 0)
  const { stdout: head } = await curl('-I', archive)
  const size = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1])
  assert.match(head, /^accept-ranges: bytes\r$/im)
  assert.equal((await stat(path)).size, size)
  const tested = await runProcess(t, 'zstd', ['-t', path])
  assert.equal(tested.code, 0, tested.output)
  assert.match(await zarf('package', 'inspect', 'definition', path), /name: fleet\n/)
  assert.equal((await zarf('package', 'inspect', 'digest', path)).trim(), digestOf(publishedManifest('fleet')))

  const middle = Math.floor(size / 2)
  await Promise.all([
    curl('-r', `0-${middle - 1}`, '-o', 'first', archive),
    curl('-r', `${middle}-`, '-o', 'second', archive),
  ])
  const halves = await Promise.all(['first', 'second'].map((name) => readFile(join(folder, name))))
  assert.ok(Buffer.concat(halves).equals(await readFile(path)))
})
