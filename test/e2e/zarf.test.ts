import assert from 'node:assert/strict'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { type DockerRegistry, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { endedOver, publishOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { readPackage } from '../helpers/packages/pulling.ts'
import { findProgram, skipWithout } from '../helpers/processes/real-tools.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'

const stack = new CleanupStack()
let api: string
let registry: DockerRegistry

before(async () => {
  registry = await startDockerRegistry(stack)
  const env = { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: join(FIXTURES.fleet, '..') }
  api = await readyUrl(await startLayerd(stack, { dataDir: await shortTempDir(stack), env }))
})
after(() => stack[Symbol.asyncDispose]())

/** Runs zarf in a folder of its own and expects that it succeeds. */
async function zarf(t: TestContext, args: readonly string[], cwd?: string): Promise<string> {
  const home = await tempDir(t, 'home')
  const env = { HOME: home, DOCKER_CONFIG: home }
  const program = findProgram('zarf') ?? 'zarf'
  const { code, stdout, output } = await runProcess(t, program, [...args, '--no-color'], {
    env,
    ...(cwd === undefined ? {} : { cwd }),
  })
  assert.equal(code, 0, output)
  return stdout
}

async function publish(path: string, namespace: string): Promise<Job> {
  const ended = await endedOver(api, (await publishOver(api, path, `${registry.host}/${namespace}`)).id)
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error))
  return ended
}

/** Pulls into the store; the answer's archive is where it can be downloaded. */
async function pull(source: string, architecture: string): Promise<string> {
  const response = await fetch(`${api}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'pull', source, options: { architecture } }),
  })
  const { id } = (await response.json()) as Job
  const { state, error, result } = await endedOver(api, id)
  assert.equal(state, 'succeeded', JSON.stringify(error))
  return `${api}${result?.archive}`
}

test('zarf inspects, pulls and deploys what layerd published', async (t) => {
  if (skipWithout(t, 'zarf')) return
  const { result } = await publish(FIXTURES.logbook, 'team')
  const reference = result?.reference ?? ''
  const folder = await tempDir(t)
  assert.match(await zarf(t, ['package', 'inspect', 'definition', reference, '--plain-http']), /name: logbook\n/)
  const digest = await zarf(t, ['package', 'inspect', 'digest', reference, '--plain-http'])
  assert.equal(digest.trim(), digestOf(publishedManifest('logbook')))
  await zarf(t, ['package', 'pull', reference, '--plain-http', '-o', folder])
  const pulled = await readPackage(join(folder, basename(FIXTURES.logbook)))
  assert.deepEqual(pulled.files, (await readPackage(FIXTURES.logbook)).files)
  await zarf(t, ['package', 'deploy', reference, '--plain-http', '--confirm'], folder)
  assert.ok((await stat(join(folder, 'logbook-entry.txt'))).size > 0)
})

test('layerd pulls what zarf published, file by file', async (t) => {
  if (skipWithout(t, 'zarf')) return
  await zarf(t, ['package', 'publish', FIXTURES.nemoAmd64, `oci://${registry.host}/byzarf`, '--plain-http'])
  await zarf(t, ['package', 'publish', FIXTURES.nemoArm64, `oci://${registry.host}/byzarf`, '--plain-http'])
  for (const [architecture, path] of [
    ['amd64', FIXTURES.nemoAmd64],
    ['arm64', FIXTURES.nemoArm64],
  ] as const) {
    const archive = await pull(`oci://${registry.host}/byzarf/nemo:1.2.0`, architecture)
    const saved = join(await tempDir(t), basename(path))
    await writeFile(saved, Buffer.from(await (await fetch(archive)).arrayBuffer()))
    const found = await readPackage(saved)
    assert.equal(found.contents.manifest.digest, digestOf(publishedManifest('nemo', architecture)))
    const byName = (files: Map<string, Buffer>) => [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))
    assert.deepEqual(byName(found.files), byName((await readPackage(path)).files))
  }
})

test('zarf and zstd accept what curl saved, whole or in halves that were fetched at once', async (t) => {
  if (skipWithout(t, 'zarf', 'zstd', 'curl')) return
  await publish(FIXTURES.fleet, 'team')
  const archive = await pull(`oci://${registry.host}/team/fleet:0.0.1`, 'amd64')
  const folder = await tempDir(t)
  const path = join(folder, basename(FIXTURES.fleet))
  const curl = (...args: string[]) => runProcess(t, 'curl', ['-sf', ...args], { cwd: folder })

  assert.equal((await curl('-OJ', archive)).code, 0)
  const { stdout: head } = await curl('-I', archive)
  const size = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1])
  assert.match(head, /^accept-ranges: bytes\r$/im)
  assert.equal((await stat(path)).size, size)
  const tested = await runProcess(t, 'zstd', ['-t', path])
  assert.equal(tested.code, 0, tested.output)
  assert.match(await zarf(t, ['package', 'inspect', 'definition', path]), /name: fleet\n/)
  const digest = await zarf(t, ['package', 'inspect', 'digest', path])
  assert.equal(digest.trim(), digestOf(publishedManifest('fleet')))

  const middle = Math.floor(size / 2)
  await Promise.all([
    curl('-r', `0-${middle - 1}`, '-o', 'first', archive),
    curl('-r', `${middle}-`, '-o', 'second', archive),
  ])
  const halves = await Promise.all(['first', 'second'].map((name) => readFile(join(folder, name))))
  assert.ok(Buffer.concat(halves).equals(await readFile(path)))
})
