import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test, type TestContext } from 'node:test'
import { runProcess } from '../helpers/processes/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const BIN = resolve(import.meta.dirname, '../../bin/layerd.mjs')

/** As a user's shell starts it, with nothing of the test run's own cache. */
async function start(t: TestContext, env: Record<string, string>): Promise<void> {
  const { code, stdout, stderr } = await runProcess(t, process.execPath, [BIN, '--version'], {
    env: { NODE_COMPILE_CACHE: undefined, XDG_CACHE_HOME: undefined, ...env },
  })
  const { version } = JSON.parse(await readFile(resolve(BIN, '../../package.json'), 'utf8')) as { version: string }
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `layerd ${version}\n`, stderr: '' })
}

const kept = async (cache: string): Promise<string[]> =>
  (await readdir(join(cache, 'layerd', 'compiled'), { recursive: true }).catch(() => [])).map(String)

test('what was compiled is kept for the next start, for nobody else to read or write', async (t) => {
  const cache = join(await tempDir(t, 'home'), 'cache')
  await start(t, { XDG_CACHE_HOME: cache })
  assert.ok((await kept(cache)).length > 10, String(await kept(cache)))
  assert.equal((await stat(join(cache, 'layerd'))).mode & 0o777, 0o700)
  await start(t, { XDG_CACHE_HOME: cache })
})

test('without XDG_CACHE_HOME, or with one that is no absolute path, it lies in .cache of the home', async (t) => {
  for (const given of ['', 'relative']) {
    const home = await tempDir(t, 'home')
    await start(t, { HOME: home, XDG_CACHE_HOME: given })
    assert.ok((await kept(join(home, '.cache'))).length > 10)
  }
})

test('a folder that others may write to, or that is a link or a file, keeps nothing: what lies there is run', async (t) => {
  const home = await tempDir(t, 'home')
  const open = join(home, 'open')
  const linked = join(home, 'linked')
  const file = join(home, 'file')
  for (const cache of [open, linked, file]) await mkdir(cache)
  await mkdir(join(open, 'layerd'))
  await chmod(join(open, 'layerd'), 0o777)
  await mkdir(join(home, 'elsewhere'))
  await symlink(join(home, 'elsewhere'), join(linked, 'layerd'))
  await writeFile(join(file, 'layerd'), '')
  for (const cache of [open, linked, file]) await start(t, { XDG_CACHE_HOME: cache })
  assert.deepEqual([await kept(open), await kept(linked), await readdir(join(home, 'elsewhere'))], [[], [], []])
})

test('a home that is not there is not made, and is no reason not to start', async (t) => {
  const home = join(await tempDir(t, 'home'), 'gone')
  await start(t, { HOME: home })
  await assert.rejects(stat(home), { code: 'ENOENT' })
})

test('who has chosen a cache, or none, has that', async (t) => {
  const home = await tempDir(t, 'home')
  const chosen = join(home, 'chosen')
  await start(t, { HOME: home, NODE_COMPILE_CACHE: chosen })
  assert.ok((await readdir(chosen, { recursive: true })).length > 10)
  await start(t, { HOME: home, NODE_DISABLE_COMPILE_CACHE: '1' })
  assert.deepEqual(await readdir(home), ['chosen'])
})
