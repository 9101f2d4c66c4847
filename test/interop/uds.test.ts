import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Scene, toolbox } from './scene.ts'

const scene = new Scene()
before(async () => {
  await scene.start()
  for (const path of [FIXTURES.nemoAmd64, FIXTURES.logbook]) await scene.publish(path, 'team')
})
after(() => scene[Symbol.asyncDispose]())

async function udsIn(t: TestContext, cwd: string) {
  const run = await toolbox(t)
  return (...args: string[]) => run('uds', [...args, '--insecure', '--no-color', '--no-progress', '-a', 'amd64'], cwd)
}

/** A bundle of packages that layerd published, one of them without all of its optional components. */
function definition(name: string): string {
  const { host } = scene
  return `kind: UDSBundle
metadata: {name: ${name}, description: of layerd's, version: 0.1.0, architecture: amd64}
packages:
  - {name: nemo, repository: ${host}/team/nemo, ref: 1.2.0, optionalComponents: [library]}
  - {name: logbook, repository: ${host}/team/logbook, ref: 0.1.0}
`
}

test('uds makes a bundle of what layerd published, and takes it from where layerd copied it to', async (t) => {
  if (skipWithout(t, 'uds')) return
  const folder = await tempDir(t)
  const uds = await udsIn(t, folder)
  await writeFile(join(folder, 'uds-bundle.yaml'), definition('squadron'))
  await uds('create', '.', '--confirm', '-o', `oci://${scene.host}/uds`)
  const pinned = new RegExp(`ref: 1\\.2\\.0@${digestOf(publishedManifest('nemo'))}`)
  await scene.copy('uds/squadron:0.1.0', 'copies')
  const there = `oci://${scene.host}/copies/squadron:0.1.0`
  assert.match(await uds('inspect', there), pinned)
  await uds('pull', there, '-o', 'pulled')
  assert.deepEqual(await readdir(join(folder, 'pulled')), ['uds-bundle-squadron-amd64-0.1.0.tar.zst'])
  assert.match(await uds('inspect', join('pulled', 'uds-bundle-squadron-amd64-0.1.0.tar.zst')), pinned)
})

test('uds inspects and pulls a bundle that layerd published, and publishes the archive that layerd pulled', async (t) => {
  if (skipWithout(t, 'uds')) return
  const folder = await tempDir(t)
  const uds = await udsIn(t, folder)
  await writeFile(join(folder, 'uds-bundle.yaml'), definition('flotilla'))
  await uds('create', '.', '--confirm', '-o', '.')
  const name = 'uds-bundle-flotilla-amd64-0.1.0.tar.zst'
  const source = await scene.upload(join(folder, name))
  const published = await scene.job({ kind: 'publish', source, destination: `oci://${scene.host}/ours` })
  const ours = `oci://${scene.host}/ours/flotilla:0.1.0`
  assert.equal(published.reference, ours)
  assert.match(await uds('inspect', ours), /name: flotilla/)
  await uds('pull', ours, '-o', 'pulled')
  const again = await scene.job({
    kind: 'publish',
    source: await scene.upload(join(folder, 'pulled', name)),
    destination: `oci://${scene.host}/again`,
  })
  assert.equal(again.digest, published.digest)
  const response = await fetch(await scene.pull('ours/flotilla:0.1.0'))
  await mkdir(join(folder, 'layerd'))
  await writeFile(join(folder, 'layerd', name), Buffer.from(await response.arrayBuffer()))
  assert.match(await uds('inspect', join('layerd', name)), /name: flotilla/)
  await uds('publish', join('layerd', name), `oci://${scene.host}/theirs`)
  const theirs = await scene.job({
    kind: 'verify',
    source: `oci://${scene.host}/theirs/flotilla:0.1.0`,
    options: { verify: { mode: 'if-possible' } },
  })
  assert.equal(theirs.digest, published.digest)
})
