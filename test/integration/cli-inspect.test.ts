import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { file, inspectedPackage, putBuilt, SBOM, VIEWER } from '../helpers/packages/inspected.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { pullFrom, readPackage } from '../helpers/packages/pulling.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** A daemon's API, and the package in a registry, in its store and in a file. */
async function started(t: TestContext) {
  const built = await inspectedPackage(t, { bulk: 4096, sboms: [file('sub/c.json', '{}')] })
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const digest = await putBuilt(registry, { repository: 'team/nemo', tag: '1.2.0' }, built.path)
  const { app, store, uploads, listen } = await startApp(t)
  await pullFrom(t, `${registry.host}/team/nemo:1.2.0`, { architecture: 'amd64', store })
  const url = await listen()
  const run = async (...argv: string[]) => {
    const { terminal, out, err } = pipeTerminal(url)
    const exit = await runCommand(['inspect', ...argv], terminal)
    return { exit, out: out(), err: err() }
  }
  const places = [`oci://${registry.host}/team/nemo:1.2.0`, digest, built.path] as const
  return { app, run, places, digest, built, uploads, registry }
}

test('each part of a package is told alike of a reference, a digest and a file, which leaves no upload', async (t) => {
  const { run, places, digest, built, uploads } = await started(t)
  const { files } = await readPackage(built.path)
  const expected: ReadonlyArray<readonly [readonly string[], string | RegExp]> = [
    [['digest'], `${digest}\n`],
    [['definition'], files.get('zarf.yaml')?.toString() ?? ''],
    [['components'], /^vessel {5}required {2}0 images\ntender {5}optional {2}0 images {2}goes along$/m],
    [['images'], ''],
    [['variables'], /^GREETING {2}variable, sensitive, prompt {2}ahoy\nPORT {6}constant {21}8080$/m],
    [['sizes'], /^bare {7}0 B /m],
    [['files'], /^\d+ B {4,}checksums\.txt$/m],
    [['docs'], '7 B  README.md\n6 B  NOTES\n'],
    [['docs', 'README.md'], '# Nemo\n'],
    [['sbom'], / {2}viewer {2}sbom-viewer-b\.html$/m],
    [['sbom', 'b.json'], SBOM],
    [['sbom', 'sbom-viewer-b.html'], VIEWER],
    [['manifests', '--components', 'tender'], '---\n# Source: tender/b-0.yaml\nkind: Service\n'],
    [['manifests', 'tender/b-0.yaml'], 'kind: Service\n'],
    [['values'], /^---\n# Source: values\.yaml\na: 1\n---\n# Source: vessel\/diver-0\.3\.1-0\nreplicas: 2\n$/],
    [['signatures'], 'it is not signed\n'],
  ]
  for (const place of places) {
    for (const [argv, text] of expected) {
      const { exit, out, err } = await run(place, ...argv)
      assert.equal(exit, 0, err)
      if (typeof text === 'string') assert.equal(out, text, argv.join(' '))
      else assert.match(out, text, argv.join(' '))
    }
    const { out } = await run(place)
    assert.match(out, /^name {10}nemo$/m)
    assert.match(out, /^vessel {5}required/m)
    const { out: json } = await run(place, 'sbom', '--json')
    assert.equal((JSON.parse(json) as { files: object[] }).files.length, 6)
  }
  assert.deepEqual(await uploads.list(), [])
})

test('bytes go to a file as they are, and all files of a kind into a folder', async (t) => {
  const { run, places, built } = await started(t)
  const folder = await tempDir(t)
  const [reference] = places
  const saved = join(folder, 'deep', 'zarf.yaml')
  const { out } = await run(reference, 'definition', '-o', saved)
  assert.equal(out, `${saved}\n`)
  assert.ok((await readFile(saved)).equals((await readPackage(built.path)).files.get('zarf.yaml') as Buffer))
  const all = join(folder, 'sboms')
  assert.equal((await run(reference, 'sbom', '-o', all)).exit, 0)
  assert.deepEqual((await readdir(all, { recursive: true })).toSorted(), [
    'a.json',
    'b.json',
    'sbom-viewer-a.html',
    'sbom-viewer-b.html',
    'sub',
    'sub/c.json',
    'zarf-component-vessel.json',
  ])
  assert.equal(await readFile(join(all, 'b.json'), 'utf8'), SBOM)
  const { exit, err } = await run(reference, 'definition', '-o', join(saved, 'beneath'))
  assert.equal(exit, 1)
  assert.match(err, /cannot write/)
})

test('what cannot be shown is said in a line, and what is wrong use costs no request', async (t) => {
  const { run, places, registry } = await started(t)
  const [reference] = places
  const before = registry.requests.length
  const wrong: ReadonlyArray<readonly [readonly string[], number, RegExp]> = [
    [[reference, 'nonsense'], 2, /Allowed choices are definition, /],
    [[reference, 'images', 'x'], 2, /images has no files to be named/],
    [[reference, 'manifests', 'x'], 2, /COMPONENT\/FILE/],
    [['./none.tar.zst', 'digest'], 1, /there is no \/none\.tar\.zst on this machine\n/],
  ]
  for (const [argv, code, said] of wrong) {
    const { exit, err } = await run(...argv)
    assert.deepEqual([exit, said.test(err)], [code, true], err)
  }
  assert.equal(registry.requests.length, before)
  assert.match((await run(reference, 'manifests', '--components', 'x')).err, /Choose from: vessel, tender, bare/)
  assert.match((await run(FIXTURES.armadaBundle)).err, /such as a UDS bundle[^]*layerd bundle looks at a bundle/)
  const { out, err, exit } = await run(FIXTURES.logbook, 'docs')
  assert.deepEqual([exit, out, err.includes('(none)')], [0, '', true])
})

test('layerd bundle sends a file that the daemon cannot read for the look, and leaves no upload', async (t) => {
  const { listen, uploads } = await startApp(t)
  const url = await listen()
  const look = async (what: string) => {
    const { terminal, out, err } = pipeTerminal(url)
    return { exit: await runCommand(['bundle', what], terminal), out: out(), err: err() }
  }
  const { exit, out, err } = await look(FIXTURES.armadaBundle)
  assert.equal(exit, 0, err)
  assert.match(out, /armada/)
  assert.match(err, /the daemon cannot read \S+: uploading it\n/)
  const wrong = await look(FIXTURES.nemoAmd64)
  assert.equal(wrong.exit, 1)
  assert.match(wrong.err, /PACKAGE_FORMAT_UNSUPPORTED/)
  const none = await look('./none.tar.zst')
  assert.deepEqual([none.exit, /there is no \/none\.tar\.zst on this machine/.test(none.err)], [1, true], none.err)
  assert.deepEqual(await uploads.list(), [])
})

test('what a daemon calls a file cannot lead out of the folder that it is saved in', async (t) => {
  const folder = await tempDir(t)
  for (const name of ['../evil.json', '/evil.json', 'a/../../evil.json', 'tab\there', 'back\\slash']) {
    const server = createServer((request, response) => {
      response.end(
        request.url?.includes('sboms?') ? JSON.stringify({ files: [{ name, size: 2, kind: 'sbom' }] }) : '{}',
      )
    })
    const url = `http://${await listenOnLoopback(t, server)}`
    const { terminal, err } = pipeTerminal(url)
    const argv = ['inspect', 'oci://r.example/a:1', 'sbom', '-o', join(folder, 'in')]
    assert.equal(await runCommand(argv, terminal), 1, name)
    assert.match(err(), /is not a name to save a file under/)
  }
  assert.deepEqual(await readdir(folder), [])
})
