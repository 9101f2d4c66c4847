import assert from 'node:assert/strict'
import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { Job, JobEvent } from '../../src/jobs/model/definitions.ts'
import { type Cleanup, CleanupStack } from '../helpers/cleanup.ts'
import { startDockerRegistry } from '../helpers/docker-registry.ts'
import { startFaultProxy } from '../helpers/fault-proxy.ts'
import { FIXTURES, publishedManifest } from '../helpers/fixtures.ts'
import { endedOver, jobOver, MAIN, readyUrl, startLayerd } from '../helpers/layerd.ts'
import { startMemoryRegistry } from '../helpers/memory-registry.ts'
import { buildPackage } from '../helpers/package-builder.ts'
import { runProcess, type StartOptions, startProcess } from '../helpers/processes.ts'
import { readPackage } from '../helpers/pulling.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const NEMO = digestOf(publishedManifest('nemo'))

interface Bed {
  api: string
  /** A folder that the daemon may read. */
  root: string
  dataDir: string
  run: (args: readonly string[], options?: StartOptions) => ReturnType<typeof runProcess>
  start: (args: readonly string[]) => ReturnType<typeof startProcess>
}

/** A daemon, and the command line as processes of its own beside it. */
async function startBed(t: Cleanup): Promise<Bed> {
  const dataDir = await shortTempDir(t)
  const root = await tempDir(t, 'root')
  const layerd = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: root } })
  const api = await readyUrl(layerd)
  const env = { LAYERD_URL: api }
  return {
    api,
    root,
    dataDir,
    run: (args, options) =>
      runProcess(t, process.execPath, [MAIN, ...args], { ...options, env: { ...env, ...options?.env } }),
    start: (args) => startProcess(t, process.execPath, [MAIN, ...args], { env }),
  }
}

const stack = new CleanupStack()
let shared: Bed
before(async () => {
  shared = await startBed(stack)
})
after(() => stack[Symbol.asyncDispose]())

async function assertSame(path: string, original: string): Promise<void> {
  const [found, expected] = await Promise.all([readPackage(path), readPackage(original)])
  assert.deepEqual([...found.files.keys()].toSorted(), [...expected.files.keys()].toSorted())
  for (const [title, bytes] of expected.files) assert.ok(found.files.get(title)?.equals(bytes), title)
}

const lines = <T>(text: string): T[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T)

test('a package goes to a private registry and comes back by commands alone', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'myuser', password: 'mypass' } })
  const { run, root } = shared
  const login = ['-u', 'myuser', '--password-stdin']
  const input = 'mypass\n'
  const destination = `oci://${registry.host}/team`
  const reference = `${destination}/nemo:1.2.0`

  await t.test('publish by path; the lines for people go to standard error', async () => {
    const path = join(root, basename(FIXTURES.nemoAmd64))
    await copyFile(FIXTURES.nemoAmd64, path)
    const { code, stdout, stderr } = await run(['publish', path, destination, ...login], { input })
    assert.deepEqual([code, stdout], [0, ''])
    assert.match(stderr, /^job [0-9a-f-]{36}\n/)
    assert.match(stderr, new RegExp(`publish succeeded: ${reference}\n {2}${NEMO}\n {2}\\d+ layers, `))
    assert.ok(!stderr.includes('\u001b'), 'no bars where there is no terminal')
    assert.ok(!stderr.includes('uploading'))
  })

  await t.test('publish what the daemon cannot read uploads it; --quiet prints the digest', async () => {
    const { code, stdout, stderr } = await run(['publish', '-q', FIXTURES.nemoArm64, destination, ...login], { input })
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(stdout, `${digestOf(publishedManifest('nemo', 'arm64'))}\n`)
    const told = await run(['publish', FIXTURES.logbook, destination, ...login], { input })
    assert.match(told.stderr, /^the daemon cannot read \S+logbook\S+: uploading it\njob /)
    assert.equal(told.code, 0)
  })

  await t.test('inspect shows what the registry holds', async () => {
    const { code, stdout } = await run(['inspect', reference, '-a', 'arm64', ...login], { input })
    assert.equal(code, 0)
    assert.match(stdout, new RegExp(`digest +${digestOf(publishedManifest('nemo', 'arm64'))}`))
    assert.match(
      stdout,
      /architecture +arm64 \(of amd64, arm64\)[^]*COMPONENT +CHOICE +IMAGES\nvessel +required +2 images/,
    )
    const json = await run(['inspect', reference, '--json', '-a', 'amd64', ...login], { input })
    assert.equal((JSON.parse(json.stdout) as { digest: string }).digest, NEMO)
    const refused = await run(['inspect', reference])
    assert.deepEqual([refused.code, refused.stdout], [1, ''])
    assert.match(refused.stderr, new RegExp(`REGISTRY_UNAUTHORIZED[^]*${registry.host}`))
  })

  await t.test('pull saves the archive where -o says, and refuses one that is there before a job begins', async () => {
    const folder = join(await tempDir(t, 'saved'), 'made', 'deep')
    const args = ['pull', reference, '-a', 'amd64', '-o', folder, ...login]
    const { code, stdout } = await run(args, { input })
    const path = join(folder, basename(FIXTURES.nemoAmd64))
    assert.deepEqual([code, stdout], [0, `${path}\n`])
    assert.deepEqual(await readdir(folder), [basename(path)])
    await assertSame(path, FIXTURES.nemoAmd64)

    await writeFile(path, 'mine')
    const again = await run(args, { input })
    assert.deepEqual([again.code, again.stdout], [1, ''])
    assert.equal(again.stderr, `${path} exists; --overwrite replaces it\n`)
    assert.equal(await readFile(path, 'utf8'), 'mine')
    const forced = await run([...args, '--overwrite', '--quiet'], { input })
    assert.deepEqual([forced.code, forced.stdout, forced.stderr], [0, `${path}\n`, ''])
    await assertSame(path, FIXTURES.nemoAmd64)
    const file = await run([...args, '-o', path], { input })
    assert.match(file.stderr, new RegExp(`^cannot write ${path}: ENOTDIR`))
  })

  await t.test('pull --store leaves it with the daemon, --json tells each event', async () => {
    const folder = await tempDir(t, 'cwd')
    const { code, stdout } = await run(['pull', `${destination}/logbook:0.1.0`, '--store', '--json', ...login], {
      input,
      cwd: folder,
    })
    assert.equal(code, 0)
    const events = lines<JobEvent>(stdout)
    assert.equal(events[0]?.type, 'snapshot')
    assert.equal(events.at(-1)?.type, 'end')
    assert.deepEqual(await readdir(folder), [])
    const { stdout: packages } = await run(['packages'])
    assert.match(
      packages,
      /^NAME +VERSION +FLAVOR +ARCH +SIZE +DIGEST\nlogbook +0\.1\.0 +amd64 .*\nnemo +1\.2\.0 +amd64 /,
    )
    const saved = await run(['pull', `${destination}/logbook:0.1.0`, '--json', ...login], { input, cwd: folder })
    assert.deepEqual(lines(saved.stdout).at(-1), { type: 'saved', path: join(folder, basename(FIXTURES.logbook)) })
  })

  await t.test('jobs lists them, watch tells how one ended', async () => {
    const failed = await run(['pull', `${destination}/nothing:1`, ...login], { input })
    assert.equal(failed.code, 1)
    assert.match(failed.stderr, /pull failed: .*MANIFEST_NOT_FOUND\)\n.*\n {2}at \S+ team\/nothing 1/)
    const jobs = lines<Job>((await run(['jobs', '--json'])).stdout)
    assert.deepEqual(
      jobs.map(({ kind, state }) => `${kind} ${state}`),
      [
        'pull failed',
        ...Array.from({ length: 4 }, () => 'pull succeeded'),
        ...[1, 2, 3].map(() => 'publish succeeded'),
      ],
    )
    const { stdout: table } = await run(['jobs', '--state', 'failed'])
    assert.match(table, /^ID +KIND +STATE +CREATED +WHERE\n[0-9a-f-]{36} +pull +failed /)
    const [bad, good] = [jobs[0]?.id ?? '', jobs.at(-1)?.id ?? '']
    const watched = await run(['watch', bad])
    assert.equal(watched.code, 1)
    assert.match(watched.stderr, /MANIFEST_NOT_FOUND/)
    const fine = await run(['watch', good, '--json'])
    assert.equal(fine.code, 0)
    assert.equal(lines<JobEvent>(fine.stdout).at(-1)?.type, 'end')
    const canceled = await run(['cancel', good])
    assert.equal(canceled.code, 1)
    assert.match(canceled.stderr, /JOB_FINISHED/)
  })
})

test('what goes wrong on the way to the daemon is told in words, with an exit code that is not 0', async (t) => {
  const nobody = { env: { LAYERD_URL: 'http://127.0.0.1:1' } }
  const run = (args: readonly string[]) => runProcess(t, process.execPath, [MAIN, ...args], nobody)
  const unreachable = await run(['jobs'])
  assert.deepEqual([unreachable.code, unreachable.stdout], [1, ''])
  assert.match(unreachable.stderr, /^The daemon cannot be reached .*\n.*127\.0\.0\.1:1: .*\n {2}Start it with 'layerd'/)
  const wrong = await run(['pull'])
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /^layerd pull oci:.*got 0 of 1 arguments\n$/)
  const help = await run(['pull', '--help'])
  assert.equal(help.code, 0)
  assert.match(help.stdout, /-o, --output VALUE/)
})

describe('Ctrl-C', () => {
  /** A publish that hangs in the middle of a layer. */
  async function hanging(t: TestContext) {
    const setting = shared
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    registry.fail({ method: 'PATCH', nth: 1, times: 9 }, { kind: 'hold', until: new Promise<never>(() => {}) })
    const built = await buildPackage(setting.root, { layers: 2, layerBytes: 9 * MIB, format: 'tar' })
    const child = await setting.start(['publish', built.path, `oci://${registry.host}/team`])
    const [, id = ''] = await child.waitForOutput(/^job (\S+)/)
    await child.waitForOutput(/plan: |transferring: /)
    return { ...setting, child, id }
  }

  test('leaves the job running and says how to watch or cancel it', async (t) => {
    const { api, child, id, run } = await hanging(t)
    child.signal('SIGINT')
    assert.deepEqual(await child.exit, { code: 130, signal: null })
    assert.match(child.stderr(), new RegExp(`The job goes on\\. .*layerd watch ${id} .*layerd cancel ${id}`))
    assert.equal((await jobOver(api, id)).state, 'running')
    const canceled = await run(['cancel', id])
    assert.deepEqual([canceled.code, canceled.stdout], [0, `${id} canceling\n`])
    assert.equal((await endedOver(api, id)).state, 'canceled')
    const watched = await run(['watch', id])
    assert.equal(watched.code, 1)
    assert.match(watched.stderr, /publish canceled/)
  })

  test('twice cancels the job', async (t) => {
    const { api, child, id } = await hanging(t)
    child.signal('SIGINT')
    await child.waitForOutput(/press Ctrl-C again now/)
    child.signal('SIGINT')
    assert.deepEqual(await child.exit, { code: 130, signal: null })
    assert.match(child.stderr(), new RegExp(`canceling ${id}[^]*publish canceled`))
    assert.equal((await endedOver(api, id)).state, 'canceled')
  })
})

test('a cut between daemon and command line is mended; Ctrl-C there leaves no file', async (t) => {
  const registry = await startDockerRegistry(t)
  const { api, root, dataDir, run } = shared
  const built = await buildPackage(root, { layers: 2, layerBytes: 8 * MIB })
  const reference = `oci://${registry.host}/team/sample:1.0.0`
  assert.equal((await run(['publish', built.path, `oci://${registry.host}/team`])).code, 0)
  const proxy = await startFaultProxy(t, new URL(api).host)
  const env = { LAYERD_URL: `http://${proxy.host}` }
  const folder = await tempDir(t, 'saved')
  const saved = join(folder, basename(built.path))

  const cut = proxy.fail({ down: 5 * MIB }, 'reset')
  const mended = await run(['pull', reference, '-q', '-o', folder], { env })
  assert.deepEqual([mended.code, mended.stdout, cut.met], [0, `${saved}\n`, true], mended.stderr)
  await assertSame(saved, built.path)

  const stuck = proxy.fail({ down: 5 * MIB }, 'silence')
  const other = join(folder, 'other')
  const child = await startProcess(t, process.execPath, [MAIN, 'pull', reference, '-o', other], { env })
  await waitFor('the archive to stop half-way', () => stuck.met)
  assert.deepEqual(await readdir(other), [`${basename(built.path)}.part`])
  child.signal('SIGINT')
  assert.deepEqual(await child.exit, { code: 130, signal: null })
  assert.match(child.stderr(), /Not saved\. The package is in the store/)
  assert.deepEqual(await readdir(other), [])

  await t.test('and an upload that Ctrl-C ends leaves nothing either', async () => {
    const before = await readdir(join(dataDir, 'uploads'))
    const outside = await buildPackage(await tempDir(t), { layers: 2, layerBytes: 8 * MIB, name: 'outside' })
    const halted = proxy.fail({ up: 5 * MIB }, 'silence')
    const args = [MAIN, 'publish', outside.path, `oci://${registry.host}/team`]
    const uploading = await startProcess(t, process.execPath, args, { env })
    await waitFor('the upload to stop half-way', () => halted.met)
    uploading.signal('SIGINT')
    assert.deepEqual(await uploading.exit, { code: 130, signal: null })
    assert.match(uploading.stderr(), /Not uploaded, and no job was made\./)
    proxy.cutAll()
    await waitFor('the daemon to drop what came', async () => {
      const names = await readdir(join(dataDir, 'uploads'))
      return names.length === before.length
    })
  })
})

test('on a terminal a bar for each active layer and one in total, and the screen is given back', async (t) => {
  const script = await terminalProgram(t)
  if (!script) return
  const { api, root } = shared
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const held = Promise.withResolvers<void>()
  registry.fail({ method: 'PATCH', nth: 1, times: 2 }, { kind: 'hold', until: held.promise })
  const built = await buildPackage(root, { layers: 2, layerBytes: 9 * MIB, format: 'tar' })
  const command = [process.execPath, MAIN, 'publish', built.path, `oci://${registry.host}/team`].map(quoted).join(' ')
  const shown = await startProcess(t, script, ['-qec', `stty cols 100 rows 30; exec ${command}`, '/dev/null'], {
    env: { LAYERD_URL: api },
  })
  const drawn = await shown.waitForOutput(
    /\d+% +18\.\d MiB in total[^\n]*\n[^\n]*layer-000\d\.tar[^\n]*\n[^\n]*layer-000\d\.tar/,
  )
  assert.match(drawn[0], /[█░]{24}/)
  held.resolve()
  assert.equal((await shown.exit).code, 0)
  const output = shown.output()
  assert.match(output, /publish succeeded/)
  for (const [hide, show] of [['\u001b[?25l', '\u001b[?25h'] as const, ['\u001b[?7l', '\u001b[?7h'] as const]) {
    assert.ok(output.lastIndexOf(show) > output.lastIndexOf(hide), 'cursor and line wrapping are as before')
  }
})

/** A program that runs another on a pseudo terminal: script of util-linux, whose options others lack. */
async function terminalProgram(t: TestContext): Promise<string | undefined> {
  const found = await stat('/usr/bin/script').catch(() => undefined)
  if (found && process.platform === 'linux') return '/usr/bin/script'
  t.skip('not there: /usr/bin/script of util-linux')
  return undefined
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`
