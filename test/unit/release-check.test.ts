import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from '../helpers/network/ports.ts'
import { startScriptedRegistry } from '../helpers/registries/scripted-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const CHECK = join(root, 'tools/release/check.mjs')
const INDEX = Buffer.from('{"schemaVersion":2,"manifests":[]}')
const DIGEST = `sha256:${createHash('sha256').update(INDEX).digest('hex')}`

/** npm asks nobody, and a step that would is told so. */
const OFFLINE = { npm_config_registry: 'http://127.0.0.1:9', npm_config_fetch_retries: '0' }

function check(...args: string[]): Promise<{ code: number; stdout: string }> {
  const env = { ...process.env, ...OFFLINE }
  return new Promise((resolve) => {
    execFile(process.execPath, [CHECK, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout: `${stdout}${stderr}` }),
    )
  })
}

/** A clone with these images and nothing else. */
async function clone(t: TestContext, images: { from: string; image: string }) {
  const folder = await tempDir(t)
  await writeFile(join(folder, 'Dockerfile'), `# FROM here\nFROM ${images.from} AS build\nRUN x\nFROM ${images.from}\n`)
  await writeFile(
    join(folder, 'docker-compose.yaml'),
    `services:\n  a:\n    image: ${images.image} # its own\n  layerd:\n    image: layerd\n    build: .\n`,
  )
  return { folder, out: join(folder, 'release'), args: ['--root', folder] }
}

test("the parts of the image are listed without a network, each with its package's hash", async (t) => {
  const out = await tempDir(t)
  const { code, stdout } = await check('sbom', '--out', out)
  assert.equal(code, 0, stdout)
  const bom = JSON.parse(await readFile(join(out, 'sbom.cdx.json'), 'utf8')) as {
    bomFormat: string
    components: { name: string; version: string; hashes: unknown[] }[]
  }
  assert.equal(bom.bomFormat, 'CycloneDX')
  const { dependencies, devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >
  const listed = new Map(bom.components.map(({ name, version }) => [name, version]))
  for (const [name, version] of Object.entries(dependencies)) assert.equal(listed.get(name), version)
  assert.ok(listed.has('svelte'), 'what the dashboard is built of')
  for (const name of ['typescript', 'oxlint']) assert.ok(name in devDependencies && !listed.has(name), name)
  assert.ok(bom.components.every(({ hashes }) => hashes.length > 0))
})

test('signatures that cannot be looked at are told as not checked, and are no success', async (t) => {
  const { code, stdout } = await check('signatures', '--out', await tempDir(t))
  assert.equal(code, 2, stdout)
  assert.match(stdout, /^signatures: NOT CHECKED: request to \S+ failed.*Run it where it can be reached\.$/m)
})

test('each image gets the digest that its tag has now, what we build ourselves none', async (t) => {
  const answer = { body: INDEX, answerHeaders: { 'content-type': 'application/vnd.oci.image.index.v1+json' } }
  const registry = await startScriptedRegistry(t, [
    { method: 'GET', path: '/v2/library/node/manifests/24', ...answer },
    { method: 'GET', path: '/v2/redis/manifests/7', ...answer },
  ])
  const { out, args } = await clone(t, { from: `${registry.host}/library/node:24`, image: `${registry.host}/redis:7` })
  const { code, stdout } = await check('images', ...args)
  assert.equal(code, 0, stdout)
  const pinned = `${registry.host}/library/node:24@${DIGEST}`
  const dockerfile = await readFile(join(out, 'Dockerfile'), 'utf8')
  assert.equal(dockerfile, `# FROM here\nFROM ${pinned} AS build\nRUN x\nFROM ${pinned}\n`)
  const compose = await readFile(join(out, 'docker-compose.yaml'), 'utf8')
  assert.match(compose, new RegExp(`image: ${registry.host}/redis:7@${DIGEST} # its own\n`))
  assert.match(compose, /image: layerd\n/)
  registry.check()
})

test('an image that is not there is wrong, a registry that is not there is not checked; neither writes anything', async (t) => {
  const registry = await startScriptedRegistry(t, [
    { method: 'GET', path: /manifests/, repeat: true, status: 404, body: '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}' },
  ])
  const gone = await clone(t, { from: `${registry.host}/node:24`, image: `${registry.host}/redis:7` })
  const wrong = await check('images', ...gone.args)
  assert.equal(wrong.code, 1, wrong.stdout)
  assert.match(wrong.stdout, /^images: wrong: \S+\/node:24: \S+ has no such image; /m)
  const nobody = `127.0.0.1:${await freePort()}`
  const away = await clone(t, { from: `${nobody}/node:24`, image: `${nobody}/redis:7` })
  const unchecked = await check('images', ...away.args)
  assert.equal(unchecked.code, 2, unchecked.stdout)
  assert.match(unchecked.stdout, /^images: NOT CHECKED: \S+\/node:24: .* refused the connection/m)
  for (const { out } of [gone, away]) await assert.rejects(readFile(join(out, 'Dockerfile')), { code: 'ENOENT' })
})

test('a lockfile that lacks a hash is wrong', async (t) => {
  const { folder, args } = await clone(t, { from: 'a', image: 'b' })
  await mkdir(join(folder, 'tools'))
  await cp(join(root, 'package-lock.json'), join(folder, 'package-lock.json'))
  assert.equal((await check('lockfiles', ...args)).code, 0)
  const bare = { packages: { '': {}, 'node_modules/x': { version: '1.0.0' } } }
  await writeFile(join(folder, 'tools/package-lock.json'), JSON.stringify(bare))
  const { code, stdout } = await check('lockfiles', ...args)
  assert.equal(code, 1)
  assert.match(stdout, /^lockfiles: wrong: no SHA-512 for node_modules\/x of tools\/package-lock\.json$/m)
})
