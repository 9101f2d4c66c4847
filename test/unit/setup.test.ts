import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, readlink, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { tempDir } from '../helpers/temp-dir.ts'

const run = promisify(execFile)
const NODE = `node-${process.platform}-${process.arch}`

/** A project whose packages are installed, Node among them or not. */
async function project(t: TestContext, { node }: { node: boolean }) {
  const folder = await tempDir(t)
  await cp(new URL('../../src/setup.mjs', import.meta.url), join(folder, 'src/setup.mjs'))
  await mkdir(join(folder, 'node_modules/.bin'), { recursive: true })
  for (const path of ['package-lock.json', 'node_modules/.package-lock.json']) {
    await writeFile(join(folder, path), '{"packages":{}}')
  }
  if (node) {
    await mkdir(join(folder, 'node_modules', NODE, 'bin'), { recursive: true })
    await symlink(process.execPath, join(folder, 'node_modules', NODE, 'bin/node'))
  }
  const setUp = () => run(process.execPath, [join(folder, 'src/setup.mjs'), '--npm-only'])
  /** Without npm, which fails at once where it is wanted. */
  const withPackages = async (packages: Record<string, unknown>) => {
    await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ packages }))
    await writeFile(join(folder, 'npm.cjs'), 'process.exit(1)')
    const env = { ...process.env, npm_execpath: join(folder, 'npm.cjs') }
    return await run(process.execPath, [join(folder, 'src/setup.mjs'), '--npm-only'], { env })
  }
  return { setUp, withPackages, link: join(folder, 'node_modules/.bin/node') }
}

test('the Node that npm installed and did not link (npm 9) is linked, once', async (t) => {
  const { setUp, link } = await project(t, { node: true })
  for (const _ of ['first', 'second']) {
    assert.deepEqual(await setUp(), { stdout: '', stderr: '' })
    assert.equal(await readlink(link), `../${NODE}/bin/node`)
  }
})

test('without a Node among the packages nothing is linked', async (t) => {
  const { setUp, link } = await project(t, { node: false })
  await setUp()
  await assert.rejects(readlink(link), { code: 'ENOENT' })
})

test('what an optional package of another system alone needs is not missed, what this one needs is', async (t) => {
  const { withPackages } = await project(t, { node: true })
  const elsewhere = {
    'node_modules/binding-elsewhere': { version: '1.0.0', optional: true, os: ['none'], dependencies: { helper: '1' } },
    'node_modules/helper': { version: '1.0.0', optional: true },
  }
  assert.deepEqual(await withPackages(elsewhere), { stdout: '', stderr: '' })
  const needed = { '': { optionalDependencies: { helper: '1' } }, ...elsewhere }
  await assert.rejects(withPackages(needed), /installing the locked packages/)
})
