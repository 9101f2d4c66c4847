import assert from 'node:assert/strict'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { globSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../helpers/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Override {
  files: string[]
  rules: Record<string, unknown>
}

/** Which other folders each one may import from at all; the files it may import there are in .oxlintrc.json. */
const MAY_IMPORT: Record<string, string[]> = {
  lib: [],
  content: ['lib'],
  config: ['lib'],
  files: ['lib'],
  oci: ['content', 'lib'],
  zarf: ['content', 'lib'],
  store: ['content', 'lib'],
  transfer: ['content', 'lib', 'oci', 'store', 'zarf'],
  jobs: ['content', 'lib', 'transfer'],
  daemon: ['config', 'jobs', 'lib'],
  worker: ['files', 'jobs', 'lib', 'transfer'],
  http: ['content', 'files', 'jobs', 'lib', 'store', 'transfer'],
  cli: ['http', 'lib'],
  roles: ['config', 'content', 'daemon', 'files', 'http', 'jobs', 'lib', 'oci', 'store', 'transfer', 'worker', 'zarf'],
}

const MAY_IMPORT_PACKAGES: Record<string, string[]> = {
  lib: ['pino'],
  content: ['typebox'],
  config: ['typebox'],
  files: [],
  oci: ['typebox', 'undici'],
  zarf: ['js-yaml', 'tar-stream'],
  store: ['typebox'],
  transfer: [],
  jobs: ['bullmq', 'ioredis', 'typebox'],
  daemon: ['ioredis'],
  worker: ['bullmq'],
  http: [
    '@fastify/swagger',
    '@fastify/swagger-ui',
    '@fastify/type-provider-typebox',
    'fastify',
    'fastify-plugin',
    'typebox',
  ],
  cli: ['cli-progress', 'undici'],
  roles: [],
}

const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)

async function readConfiguration(): Promise<{ overrides: Override[] }> {
  return JSON.parse(await readFile(join(root, '.oxlintrc.json'), 'utf8')) as { overrides: Override[] }
}

/** Lints `files` (path under the root, text) in a folder with the project's own rules; "path: complaint" lines. */
async function lint(t: TestContext, files: Record<string, string>): Promise<string[]> {
  const copy = await tempDir(t)
  await cp(join(root, '.oxlintrc.json'), join(copy, '.oxlintrc.json'))
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(copy, path)), { recursive: true })
    await writeFile(join(copy, path), text)
  }
  const { stdout } = await runProcess(t, join(root, 'node_modules/.bin/oxlint'), ['-f', 'unix', 'src'], { cwd: copy })
  return stdout.split('\n').filter((line) => line.startsWith('src/'))
}

test('each folder of src has import rules of its own', async () => {
  const { overrides } = await readConfiguration()
  const covered = overrides.filter(({ rules }) => 'no-restricted-imports' in rules).flatMap(({ files }) => files)
  for (const folder of folders) {
    assert.ok(covered.includes(`src/${folder}/**`), `.oxlintrc.json has an override for src/${folder}/**`)
    assert.ok(folder in MAY_IMPORT, `this test knows what src/${folder} may import`)
  }
})

test('a file that is nobody’s face is refused from every other folder, at any depth', async (t) => {
  const all = Object.keys(MAY_IMPORT)
  const probe = (up: string) =>
    all.map((folder, index) => `import { a${index} } from '${up}${folder}/not-a-face.ts'\nvoid a${index}\n`).join('')
  const files = Object.fromEntries(
    all.flatMap((folder) => [
      [`src/${folder}/probe.ts`, probe('../')],
      [`src/${folder}/deeper/probe.ts`, probe('../../')],
    ]),
  )
  const complaints = await lint(t, files)
  const open = new Set(['lib', 'content'])
  for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
    for (const [path, up] of [
      [`src/${folder}/probe.ts`, '../'],
      [`src/${folder}/deeper/probe.ts`, '../../'],
    ] as const) {
      for (const target of all.filter((name) => name !== folder)) {
        const refused = complaints.some(
          (line) => line.startsWith(path) && line.includes(`'${up}${target}/not-a-face.ts'`),
        )
        const whole = open.has(target) && allowed.includes(target) && !(folder === 'http' && target === 'content')
        assert.equal(refused, !whole, `${path} importing ${up}${target}/not-a-face.ts`)
      }
    }
  }
})

test('a face is refused from folders that may not import it', async (t) => {
  const faces: Record<string, string> = {
    lib: 'lib/errors.ts',
    content: 'content/digest.ts',
    config: 'config/config.ts',
    files: 'files/local-source.ts',
    oci: 'oci/registry.ts',
    zarf: 'zarf/package.ts',
    store: 'store/content-store.ts',
    transfer: 'transfer/events.ts',
    jobs: 'jobs/queue.ts',
    daemon: 'daemon/supervisor.ts',
    worker: 'worker/worker.ts',
    http: 'http/app.ts',
    cli: 'cli/cli.ts',
    roles: 'roles/serve.ts',
  }
  const text = Object.values(faces)
    .map((face, index) => `import { a${index} } from '../${face}'\nvoid a${index}\n`)
    .join('')
  const complaints = await lint(
    t,
    Object.fromEntries(Object.keys(faces).map((folder) => [`src/${folder}/probe.ts`, text])),
  )
  for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
    const refused = Object.keys(faces).filter((target) =>
      complaints.some((line) => line.startsWith(`src/${folder}/probe.ts`) && line.includes(`'../${faces[target]}'`)),
    )
    const open = folder === 'cli' ? ['lib'] : allowed // the command line may import http/schemas alone
    assert.deepEqual(
      refused.filter((target) => target !== folder).toSorted(),
      Object.keys(faces)
        .filter((target) => target !== folder && !open.includes(target))
        .toSorted(),
      `what src/${folder} may not import`,
    )
  }
})

test('packages are refused from folders that may not import them, and node:process everywhere', async (t) => {
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const names = [...Object.keys(dependencies), 'never-heard-of', '@some/scope', 'node:process', 'node:fs/promises']
  const text = names.map((name, index) => `import { a${index} } from '${name}'\nvoid a${index}\n`).join('')
  const complaints = await lint(
    t,
    Object.fromEntries(Object.keys(MAY_IMPORT).map((folder) => [`src/${folder}/probe.ts`, text])),
  )
  for (const [folder, allowed] of Object.entries(MAY_IMPORT_PACKAGES)) {
    const accepted = names.filter(
      (name) => !complaints.some((line) => line.startsWith(`src/${folder}/`) && line.includes(`'${name}' import`)),
    )
    assert.deepEqual(accepted.toSorted(), [...allowed, 'node:fs/promises'].toSorted(), `packages of src/${folder}`)
  }
})

test('the environment is read in main.ts alone, and a circle of imports is refused', async (t) => {
  const complaints = await lint(t, {
    'src/main.ts': 'void process.env\nprocess.exitCode = 1\n',
    'src/oci/a.ts': "import { b } from './b.ts'\nexport const a = b\nvoid process.env\nprocess.exit(1)\n",
    'src/oci/b.ts': "import { a } from './a.ts'\nexport const b = a\n",
  })
  assert.equal(complaints.filter((line) => line.startsWith('src/main.ts')).length, 0)
  for (const rule of ["'process.env'", "'process.exit'", 'no-cycle']) {
    assert.ok(
      complaints.some((line) => line.startsWith('src/oci/a.ts') && line.includes(rule)),
      `${rule} is refused`,
    )
  }
})

test('no file of src switches a lint rule off for a whole file', async () => {
  for (const path of globSync('src/**/*.{ts,mjs}', { cwd: root })) {
    const text = await readFile(join(root, path), 'utf8')
    assert.doesNotMatch(text, /(?:eslint|oxlint)-disable(?!-next-line|-line)/, path)
  }
})
