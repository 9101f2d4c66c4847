import assert from 'node:assert/strict'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDataDirectory } from '../../../src/daemon/data-directory.ts'
import { lockDataDirectory } from '../../../src/daemon/directory-lock.ts'
import { startProcess } from '../../helpers/processes/processes.ts'
import { tempDir } from '../../helpers/temp-dir.ts'
import { waitFor } from '../../helpers/wait-for.ts'

const open = (path: string, secretKeyFile = join(path, 'secret.key')) => openDataDirectory({ path, secretKeyFile })
const mode = async (path: string) => (await stat(path)).mode & 0o777

test('the first start makes the directory, its id and its key, for the owner alone', async (t) => {
  const path = join(await tempDir(t), 'a', 'b')
  const directory = await open(path)
  assert.match(directory.id, /^[0-9a-f-]{36}$/)
  assert.equal(directory.secretKeys[0]?.byteLength, 32)
  assert.equal(await mode(path), 0o700)
  assert.equal(await mode(directory.packages), 0o700)
  assert.equal(await mode(join(path, 'id')), 0o600)
  assert.equal(await mode(join(path, 'secret.key')), 0o600)
  assert.equal((await readFile(join(path, 'secret.key'), 'utf8')).trim(), directory.secretKeys[0]?.toString('base64'))
})

test('processes that start at once agree on id and key', async (t) => {
  const path = join(await tempDir(t), 'data')
  const directories = await Promise.all(Array.from({ length: 20 }, () => open(path)))
  assert.equal(new Set(directories.map(({ id }) => id)).size, 1)
  assert.equal(
    new Set(directories.map(({ secretKeys }) => secretKeys.map((key) => key.toString('hex')).join())).size,
    1,
  )
  assert.deepEqual(await open(path), directories[0])
})

test('a key of another length is refused with the file and how to make one', async (t) => {
  const path = await tempDir(t)
  const file = join(path, 'short.key')
  await writeFile(file, 'c2hvcnQ=\n')
  await assert.rejects(open(path, file), (error: Error & { code: string; hint: string }) => {
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.match(error.message, /^LAYERD_SECRET_KEY_FILE: .*short\.key, line 1, does not hold 32 bytes/)
    assert.match(error.hint, /urandom/)
    return true
  })
})

test('a directory that cannot be made is named with its setting', async (t) => {
  const file = join(await tempDir(t), 'file')
  await writeFile(file, '')
  await assert.rejects(open(join(file, 'data')), /LAYERD_DATA_DIR: .* cannot be used \(ENOTDIR\)/)
})

test('a second daemon on the directory is refused and told who holds it', async (t) => {
  const path = await tempDir(t)
  const lock = await lockDataDirectory(path)
  t.after(() => lock.release())
  await assert.rejects(lockDataDirectory(path), (error: Error & { code: string }) => {
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.match(error.message, new RegExp(`another layerd \\(process ${process.pid}\\) works on ${path}`))
    return true
  })
  await lock.release()
  const again = await lockDataDirectory(path)
  await again.release()
})

test('the lock is free once its holder was killed', async (t) => {
  const path = await tempDir(t)
  const program = join(path, 'holder.ts')
  await mkdir(path, { recursive: true })
  const module = new URL('../../../src/daemon/directory-lock.ts', import.meta.url).href
  await writeFile(
    program,
    `import { lockDataDirectory } from '${module}'\nawait lockDataDirectory('${path}')\nconsole.log('locked')\n`,
  )
  const holder = await startProcess(t, process.execPath, [program])
  await holder.waitForOutput(/locked/)
  await assert.rejects(lockDataDirectory(path), /another layerd/)
  await holder.kill()
  const lock = await waitFor('the lock to be free', () => lockDataDirectory(path))
  await lock.release()
})
