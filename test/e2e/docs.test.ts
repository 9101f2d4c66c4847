import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { docCommands, REPOSITORY } from '../helpers/processes/doc-commands.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { endedOver, publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

test('the six lines of README publish a package and show how it ends', async (t) => {
  if (skipWithout(t, 'bash', 'curl', 'jq')) return
  const registry = await startDockerRegistry(t)
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env: { LAYERD_WORKERS: '1' } })
  const api = await readyUrl(layerd)
  const all = await docCommands('README.md', { section: 'The same over HTTP', variables: { API: `${api}/v1` } })
  const lines = all.split('\n').filter((line) => !line.startsWith('-H'))
  const commands = lines.join('\n').replaceAll('localhost:5000', registry.host)
  const { code, output } = await runProcess(t, 'bash', ['-c', commands], { cwd: REPOSITORY })
  assert.equal(code, 0, output)
  assert.match(output, /^event: snapshot$[^]*^event: end$/m)
  assert.match(output, new RegExp(`"succeeded"\n\\{[^]*${digestOf(publishedManifest('nemo'))}[^]*\\}\nnull\n$`))
})

test('the commands of README publish, list, pull and copy on the Node that comes first', async (t) => {
  if (skipWithout(t, 'npx')) return
  const registry = await startDockerRegistry(t)
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env: { LAYERD_WORKERS: '1' } })
  const folder = await tempDir(t, 'pulled')
  const all = await docCommands('README.md', { section: 'Five minutes', variables: {} })
  const lines = all.split('\n').filter((line) => line.startsWith('npx '))
  assert.equal(lines.length, 5)
  const script = ['set -e', ...lines]
    .join('\n')
    .replaceAll('localhost:5000', registry.host)
    .replace('-o /tmp', `-o ${folder}`)
  const env = { LAYERD_URL: await readyUrl(layerd), npm_config_cache: await tempDir(t, 'npm') }
  const { code, output, stdout } = await runProcess(t, 'bash', ['-c', script], { cwd: REPOSITORY, env })
  assert.equal(code, 0, output)
  assert.match(output, new RegExp(`publish succeeded: [^]*${digestOf(publishedManifest('nemo'))}`))
  assert.match(output, /copy succeeded: oci:\/\/[^ ]+\/mirror\/nemo:1\.2\.0/)
  assert.match(stdout, /^1\.2\.0\n/)
  assert.deepEqual(await readdir(folder), ['zarf-package-nemo-amd64-1.2.0.tar.zst'])
})

test('the recipes for the catalogue tell what layerd has just published', async (t) => {
  if (skipWithout(t, 'bash', 'curl', 'jq')) return
  const registry = await startDockerRegistry(t)
  const env = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: dirname(FIXTURES.nemoAmd64) }
  const api = await readyUrl(await startLayerd(t, { dataDir: await shortTempDir(t), env }))
  const recipes = await docCommands('docs/integrate.md', { section: 'What registries hold', variables: {} })
  const [settings = '', put = '', ...rest] = recipes.replaceAll('registry.example', registry.host).split('\n')
  const run = (...lines: string[]) =>
    runProcess(t, 'bash', ['-c', [settings, ...lines].join('\n')], { env: { API: `${api}/v1` } })
  const added = await run(put)
  assert.equal(added.code, 0, added.output)
  const { id } = await publishOver(api, FIXTURES.nemoAmd64, `${registry.host}/team`)
  assert.equal((await endedOver(api, id)).state, 'succeeded')
  await waitFor('the catalogue', async () => {
    const found = (await (await fetch(`${api}/v1/catalog`)).json()) as { items: unknown[] }
    return found.items.length === 1
  })
  const { code, output, stdout } = await run(...rest)
  assert.equal(code, 0, output)
  assert.match(
    stdout,
    /^\{"name":"nemo","version":"1\.2\.0","versions":\["1\.2\.0"\],"architectures":\["amd64"\],"signed":false/m,
  )
  assert.match(stdout, /^\["1\.2\.0"\]$/m)
  assert.match(stdout, /^\{"tag":"1\.2\.0","digest":"sha256:[0-9a-f]{64}","architectures":\[\{"architecture":"amd64"/m)
})

test('the recipes for curl publish, pull and save', async (t) => {
  if (skipWithout(t, 'bash', 'curl', 'jq')) return
  const registry = await startDockerRegistry(t)
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env: { LAYERD_WORKERS: '1' } })
  const api = await readyUrl(layerd)
  const cwd = await tempDir(t, 'curl')
  const script = await docCommands('docs/integrate.md', { section: 'curl', variables: {} })
  const env = {
    API: `${api}/v1`,
    PACKAGE: FIXTURES.nemoAmd64,
    DESTINATION: `oci://${registry.host}/team`,
    REFERENCE: `oci://${registry.host}/team/nemo:1.2.0`,
  }
  const { code, output } = await runProcess(t, 'bash', ['-c', script], { cwd, env })
  assert.equal(code, 0, output)
  assert.deepEqual(await readdir(cwd), ['zarf-package-nemo-amd64-1.2.0.tar.zst'])
})

test('the recipe for other artifacts gives one digest by HTTP and by the command line, and brings an SBOM back', async (t) => {
  if (skipWithout(t, 'bash', 'curl', 'jq')) return
  const registry = await startDockerRegistry(t)
  const root = await tempDir(t, 'root')
  const env = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: root }
  const api = await readyUrl(await startLayerd(t, { dataDir: await shortTempDir(t), env }))
  const recipe = await docCommands('docs/integrate.md', { section: 'Other artifacts', variables: {} })
  const script = `layerd() { "${process.execPath}" "${REPOSITORY}src/main.ts" "$@"; }\n${recipe}`
  const more = { API: `${api}/v1`, LAYERD_URL: api, REGISTRY: registry.host, FOLDER: root }
  const run = { cwd: await tempDir(t, 'artifacts'), env: more, timeoutMs: 300_000 }
  const { code, output, stdout } = await runProcess(t, 'bash', ['-c', script], run)
  assert.equal(code, 0, output)
  const [digest = ''] = /^sha256:[0-9a-f]{64}$/m.exec(stdout) ?? []
  assert.match(output, new RegExp(`publish succeeded: \\S+team/notes:1\n {2}${digest}`))
  assert.match(stdout, /^application\/spdx\+json .*sha256:[0-9a-f]{64}$/m)
  assert.match(stdout, /^\{"spdxVersion":"SPDX-2\.3"\}$/m)
  assert.match(output, /publish succeeded: \S+charts\/buoy:0\.1\.0/)
})

test("the recipe for a pipeline's token issues the next one and takes the last one away", async (t) => {
  if (skipWithout(t, 'bash', 'curl', 'jq')) return
  const cwd = await tempDir(t, 'pipeline')
  await writeFile(join(cwd, 'tokens'), `root ${createHash('sha256').update('root').digest('hex')} *\n`)
  const env = { LAYERD_WORKERS: '1', LAYERD_TOKENS_FILE: join(cwd, 'tokens') }
  const api = `${await readyUrl(await startLayerd(t, { dataDir: await shortTempDir(t), env }))}/v1`
  const script = await docCommands('docs/integrate.md', { section: 'Tokens of a pipeline', variables: {} })
  const tokens: string[] = []
  for (const _round of ['first', 'second']) {
    const { code, output } = await runProcess(t, 'bash', ['-c', script], { cwd, env: { API: api, ADMIN: 'root' } })
    assert.equal(code, 0, output)
    tokens.push((await readFile(join(cwd, 'ci.token'), 'utf8')).trim())
  }
  const asked = tokens.map((token) => fetch(`${api}/session`, { headers: { authorization: `Bearer ${token}` } }))
  assert.deepEqual(
    (await Promise.all(asked)).map(({ status }) => status),
    [401, 200],
  )
})

test('every line of the walkthrough does what it says, with the real zarf', async (t) => {
  if (skipWithout(t, 'zarf', 'bash', 'curl', 'jq')) return
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'myuser', password: 'mypass' } })
  const home = await tempDir(t, 'home')
  const work = await tempDir(t, 'work')
  const docker = { HOME: home, DOCKER_CONFIG: join(home, '.docker') }
  const layerd = await startLayerd(t, { dataDir: await shortTempDir(t), env: { LAYERD_WORKERS: '1', ...docker } })
  const api = await readyUrl(layerd)
  const commands = await docCommands('docs/walkthrough.md', {
    variables: { REGISTRY: registry.host, API: `${api}/v1` },
  })
  const PATH = [dirname(findProgram('zarf') ?? ''), process.env['PATH']].join(delimiter)
  const env = { ...docker, PATH, LAYERD_CLONE: REPOSITORY, NO_COLOR: '1' }
  const { code, output, stdout } = await runProcess(t, 'bash', ['-c', commands], { cwd: work, env })
  assert.equal(code, 0, output)
  const digests = [...stdout.matchAll(/^(sha256:[0-9a-f]{64})$/gm)].map(([, digest]) => digest)
  assert.equal(digests.length, 2, output)
  assert.equal(digests[0], digests[1], 'zarf finds one digest in what it made and in what came back')
  assert.match(output, new RegExp(`publish succeeded: \\S+team/hello:0\\.0\\.1\n {2}${digests[0]}`))
  assert.equal(await readFile(join(work, 'hello/installed-greeting.txt'), 'utf8'), 'hello from layerd\n')
})
