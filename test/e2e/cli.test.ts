import assert from 'node:assert/strict'
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import type { HarEntry } from '../../src/http/schemas/har.ts'
import type { Problem } from '../../src/http/schemas/types.ts'
import type { Job, JobEvent, JobLogLine } from '../../src/jobs/model/definitions.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { assertHar } from '../helpers/har.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { MAIN } from '../helpers/processes/layerd.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { type Bed, startBed, assertSame, lines } from '../helpers/processes/cli-bed.ts'

const NEMO = digestOf(publishedManifest('nemo'))

const stack = new CleanupStack()
let shared: Bed
before(async () => {
  shared = await startBed(stack)
})
after(() => stack[Symbol.asyncDispose]())

test('a package goes to a private registry and comes back by commands alone', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'myuser', password: 'mypass' } })
  const { run, root, dataDir } = shared
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
    assert.deepEqual(await readdir(join(dataDir, 'uploads')), [], 'what was uploaded goes with its job')
    const failed = await run(['publish', FIXTURES.logbook, `${destination}x`, ...login], { input: 'wrong\n' })
    assert.equal(failed.code, 1)
    assert.equal((await readdir(join(dataDir, 'uploads'))).length, 1, 'a job that failed can be run again')
  })

  await t.test('inspect shows what the registry holds', async () => {
    const { code, stdout } = await run(['inspect', reference, '-a', 'arm64', ...login], { input })
    assert.equal(code, 0)
    assert.match(stdout, new RegExp(`digest +${digestOf(publishedManifest('nemo', 'arm64'))}`))
    assert.match(
      stdout,
      /architecture +arm64 \(of amd64, arm64\)[^]*COMPONENT +CHOICE +IMAGES +DESCRIPTION\nvessel +required +2 images/,
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
    const { code, stdout, stderr } = await run(args, { input })
    const path = join(folder, basename(FIXTURES.nemoAmd64))
    assert.deepEqual([code, stdout], [0, `${path}\n`])
    assert.match(stderr, /\npulled into the store, saving\n[^]*pull succeeded: .*\n.*\n.*\n$/, 'success comes last')
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
      /^NAME +VERSION +FLAVOR +ARCH +SIZE +DIGEST\nlogbook +0\.1\.0 +amd64 +\S+ KiB +sha256:\S+\n$/,
      'what was saved to a file before is not kept beside it',
    )
    const saved = await run(['pull', `${destination}/logbook:0.1.0`, '--json', ...login], { input, cwd: folder })
    assert.deepEqual(lines(saved.stdout).at(-1), { type: 'saved', path: join(folder, basename(FIXTURES.logbook)) })
    assert.equal((await run(['packages'])).stdout, packages, 'what --store keeps stays')
  })

  await t.test('jobs lists them, watch tells how one ended', async () => {
    const failed = await run(['pull', `${destination}/nothing:1`, ...login], { input })
    assert.equal(failed.code, 1)
    assert.match(failed.stderr, /pull failed: .*MANIFEST_NOT_FOUND\)\n.*team\/nothing:1/)
    const jobs = lines<Job>((await run(['jobs', '--json'])).stdout)
    assert.deepEqual(
      jobs.map(({ kind, state }) => `${kind} ${state}`),
      [
        'pull failed',
        ...Array.from({ length: 4 }, () => 'pull succeeded'),
        'publish failed',
        ...[1, 2, 3].map(() => 'publish succeeded'),
      ],
    )
    const { stdout: table } = await run(['jobs', '--state', 'failed'])
    assert.match(table, /^ID +KIND +STATE +AGE +TRY +PROGRESS +PACKAGE +FROM +TO\n/)
    assert.match(
      table,
      /\n[0-9a-f-]{13} +pull +failed +\d+s +1 +MANIFEST_NOT_FOUND +nothing 1 +\S+\/team\/nothing:1 +store\n/,
    )
    const [bad, good] = [jobs[0]?.id ?? '', jobs.at(-1)?.id ?? '']
    assert.match((await run(['watch'])).stderr, new RegExp(`^job ${bad}\n[^]*MANIFEST_NOT_FOUND`), 'the newest')
    const page = await run(['show', bad.slice(0, 18)])
    assert.equal(page.code, 0)
    assert.match(page.stdout, /^job +[0-9a-f-]{36}\nwhat +pull nothing 1\nstate +failed\n[^]*\(MANIFEST_NOT_FOUND\)\n/)
    const told = await run(['logs', bad.slice(0, 18)])
    assert.match(
      told.stdout,
      /INFO {2}accepted: pull oci:.*\n.*queued\n.*run 1 on .*\n.*ERROR failed: .*MANIFEST_NOT_FOUND/,
    )
    const level = lines<JobLogLine>((await run(['logs', bad, '--json', '--level', 'error'])).stdout)
    assert.deepEqual(
      level.map((line) => line.level),
      ['error'],
    )
    const one = await run(['jobs', '-q', '--limit', '1'])
    assert.deepEqual([one.stdout, one.stderr], [`${bad}\n`, ''])
    assert.match((await run(['jobs', '--limit', '2'])).stderr, /newest 2; --limit/)
    const ids = lines<Job>(
      (await run(['jobs', '--json', '--kind', 'publish', '--search', 'LOGBOOK', '--since', '1h'])).stdout,
    )
    assert.ok(ids.some(({ state }) => state === 'succeeded'))
    assert.ok(ids.every((job) => job.kind === 'publish' && job.package?.name === 'logbook'))
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

test('publish --manifest says which kind it became, and what a registry does not take', async (t) => {
  const registry = await startDockerRegistry(t)
  const to = ['publish', FIXTURES.nemoAmd64, `oci://${registry.host}/team`, '--manifest']
  const auto = await shared.run([...to, 'auto'])
  assert.equal(auto.code, 0)
  assert.match(auto.stderr, new RegExp(`\\n {2}${NEMO}\\n.*\\n {2}published as an image manifest\\n`))
  const artifact = await shared.run([...to, 'artifact'])
  assert.equal(artifact.code, 1)
  assert.match(artifact.stderr, /\(MANIFEST_UNSUPPORTED\)[^]*"options\.manifest": "auto"/)
})

test('trace shows what a job said to its registry, and saves it for other tools', async (t) => {
  const registry = await startDockerRegistry(t)
  const { run, root } = shared
  const path = join(root, basename(FIXTURES.logbook))
  await copyFile(FIXTURES.logbook, path)
  const destination = `oci://${registry.host}/team`
  const id = (await run(['publish', path, destination, '-d', '--trace'])).stdout.trim()
  assert.equal((await run(['watch', id, '-q'])).code, 0)
  const shown = await run(['trace', id.slice(0, 18)])
  assert.equal(shown.code, 0)
  assert.match(shown.stdout, /^AT +METHOD +STATUS +TIME +SENT +READ +WHAT\n\+0\.00 /)
  assert.match(
    shown.stdout,
    /\n\+\d+\.\d\d +PUT +201 +\d+ ms +\S+ \S+ +push manifest \S+\/team\/logbook\/manifests\/0\.1\.0\n/,
  )
  assert.match(shown.stderr, new RegExp(`^\\(job ${id}: all \\d+ requests\\)\n$`))
  const entries = lines<HarEntry>((await run(['trace', id, '--json'])).stdout)
  assert.equal(entries.length, shown.stdout.trimEnd().split('\n').length - 1)
  const printed = await run(['trace', id, '--har'])
  assertHar(JSON.parse(printed.stdout))
  const folder = await tempDir(t)
  const saved = await run(['trace', id, '-o', 'wire.har'], { cwd: folder })
  assert.deepEqual([saved.code, saved.stdout], [0, `${join(folder, 'wire.har')}\n`])
  assert.equal(await readFile(join(folder, 'wire.har'), 'utf8'), printed.stdout)
  const nowhere = await run(['trace', id, '-o', 'no/where.har'], { cwd: folder })
  assert.equal(nowhere.code, 1)
  assert.match(nowhere.stderr, /^cannot write \S+no\/where\.har: ENOENT/)

  const plain = (await run(['publish', path, destination, '-d'])).stdout.trim()
  assert.equal((await run(['watch', plain, '-q'])).code, 0)
  const none = await run(['trace', plain])
  assert.equal(none.code, 1)
  assert.match(none.stderr, /has no requests that were kept[^]*options\.trace/)
})

test('tags, uploads, retry and rm do what they say, by the beginning of an id', async (t) => {
  const registry = await startDockerRegistry(t)
  const { run, root } = shared
  const path = join(root, basename(FIXTURES.logbook))
  await copyFile(FIXTURES.logbook, path)
  const repository = `oci://${registry.host}/team/logbook`
  const published = await run(['publish', path, `oci://${registry.host}/team`, '-d'])
  const id = published.stdout.trim()
  assert.equal((await run(['watch', id, '-q'])).code, 0)
  const tags = await run(['tags', repository])
  assert.deepEqual([tags.code, tags.stdout], [0, '0.1.0\n'])
  assert.equal((await run(['inspect', `${repository}:0.1.0`, '-q'])).code, 0)
  assert.equal((await run(['inspect', repository, '-q'])).stdout, '0.1.0\n', 'a name without a tag lists what there is')
  assert.match((await run(['inspect', repository])).stdout, /^0\.1\.0 {2}package {2}0\.1\.0 .*amd64$/m)
  assert.match((await run(['tags', `${repository}-not`])).stdout, /has no tags; the registry may not know it/)
  const refused = await run(['retry', id.slice(0, 18)])
  assert.deepEqual([refused.code, refused.stdout], [1, ''])
  assert.match(refused.stderr, /JOB_FINISHED/)
  const put = await fetch(`${shared.api}/v1/uploads/zarf-package-x-amd64-1.tar`, { method: 'PUT', body: 'bytes' })
  const upload = ((await put.json()) as { id: string }).id
  assert.match(
    (await run(['uploads'])).stdout,
    new RegExp(`${upload} +zarf-package-x-amd64-1\\.tar +5 B +[0-9a-f]{12}`),
  )
  const removed = await run(['rm', upload, id.slice(0, 18), 'ffffffff'])
  assert.equal(removed.code, 1)
  assert.equal(removed.stdout, `upload ${upload} removed\njob ${id} removed\n`)
  assert.match(removed.stderr, /^ffffffff: no job's id begins with "ffffffff"\n$/)
  assert.equal((await run(['show', id])).code, 1)
  const pulled = await run(['pull', `${repository}:0.1.0`, '--store', '-q'])
  const digest = pulled.stdout.trim()
  assert.equal((await run(['rm', digest])).stdout, `package ${digest} removed\n`)
})

test('a path that is nowhere is said to be missing, not to lie outside of folders; with --json as a problem document', async () => {
  const missing = await shared.run(['publish', '/no/such/package.tar.zst', 'oci://127.0.0.1:1/a', '--json'])
  assert.equal(missing.code, 1)
  const problem = JSON.parse(missing.stdout) as Problem
  assert.equal(problem.code, 'PACKAGE_NOT_FOUND')
  assert.match(problem.detail, /^there is no \/no\/such\/package\.tar\.zst on this machine/)
  assert.ok(!missing.stderr.includes('outside'), missing.stderr)
  const refused = await shared.run(['cancel', 'nothing', '--json'])
  assert.equal((JSON.parse(refused.stdout) as Problem).status, refused.code === 1 ? 404 : 0)
})

test('what goes wrong on the way to the daemon is told in words, with an exit code that is not 0', async (t) => {
  const nobody = { env: { LAYERD_URL: 'http://127.0.0.1:1' } }
  const run = (args: readonly string[]) => runProcess(t, process.execPath, [MAIN, ...args], nobody)
  const unreachable = await run(['jobs'])
  assert.deepEqual([unreachable.code, unreachable.stdout], [1, ''])
  assert.match(unreachable.stderr, /^The daemon cannot be reached .*\n.*127\.0\.0\.1:1: .*\n {2}Start it with 'layerd'/)
  const told = await run(['jobs', '--json'])
  assert.equal((JSON.parse(told.stdout) as Problem).code, 'DAEMON_UNREACHABLE')
  const wrong = await run(['pull'])
  assert.equal(wrong.code, 2)
  assert.equal(wrong.stderr, "layerd: missing required argument 'reference'\n")
  const help = await run(['pull', '--help'])
  assert.equal(help.code, 0)
  assert.match(help.stdout, /-o, --output <folder>/)
})
