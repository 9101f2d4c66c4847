import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTokenFile } from '../../../../src/http/requests/token-file.ts'
import { silentLogger } from '../../../../src/lib/logger.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

const hash = (token: string) => createHash('sha256').update(token).digest('hex')

test('a token is known by its hash, with name and scopes', async (t) => {
  const path = join(await tempDir(t), 'tokens')
  await writeFile(
    path,
    `# who may\n\nada ${hash('a-secret')} *\r\n  bob\t${hash('b-secret').toUpperCase()}  jobs:read,jobs:write\n`,
  )
  const tokens = await openTokenFile(path, silentLogger)
  assert.equal((await tokens.authenticate('a-secret'))?.name, 'ada')
  const bob = await tokens.authenticate('b-secret')
  assert.deepEqual([bob?.name, [...(bob?.scopes ?? [])]], ['bob', ['jobs:read', 'jobs:write']])
  for (const token of ['', 'a-secre', hash('a-secret'), 'A-SECRET']) {
    assert.equal(await tokens.authenticate(token), undefined, token)
  }
})

test('a changed file counts from the next request on', async (t) => {
  const path = join(await tempDir(t), 'tokens')
  await writeFile(path, `ada ${hash('one')} *\n`)
  const tokens = await openTokenFile(path, silentLogger)
  await writeFile(path, `ada ${hash('two')} *\nbob ${hash('three')} *\n`)
  assert.equal(await tokens.authenticate('one'), undefined)
  assert.equal((await tokens.authenticate('two'))?.name, 'ada')
})

test('a file that breaks or goes away leaves the known tokens in force', async (t) => {
  const path = join(await tempDir(t), 'tokens')
  await writeFile(path, `ada ${hash('one')} *\n`)
  const tokens = await openTokenFile(path, silentLogger)
  await writeFile(path, 'half a li')
  assert.equal((await tokens.authenticate('one'))?.name, 'ada')
  await rm(path)
  assert.equal((await tokens.authenticate('one'))?.name, 'ada')
  await writeFile(path, `ada ${hash('again')} *\n`)
  assert.equal(await tokens.authenticate('one'), undefined)
})

test('a file that cannot be used at first is a wrong setting that names the line', async (t) => {
  const folder = await tempDir(t)
  await assert.rejects(openTokenFile(join(folder, 'none'), silentLogger), { code: 'CONFIG_INVALID' })
  const cases: Array<[string, RegExp]> = [
    ['', /holds no token/],
    ['# nobody\n', /holds no token/],
    [`ada ${hash('x')}\n`, /line 1 /],
    [`ada ${hash('x')} *\nbob plain-text-secret *\n`, /line 2 /],
  ]
  for (const [content, message] of cases) {
    const path = join(folder, 'tokens')
    await writeFile(path, content)
    await assert.rejects(openTokenFile(path, silentLogger), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'CONFIG_INVALID')
      assert.match(error.message, message)
      assert.doesNotMatch(error.message, /plain-text-secret/)
      return true
    })
  }
})
