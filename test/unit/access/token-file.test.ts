import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { openTokenFile } from '../../../src/access/token-file.ts'
import { type Logger, silentLogger } from '../../../src/lib/logger.ts'
import { createStepClock } from '../../helpers/step-clock.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

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

/** A token file that is open, by a clock that stands still, and who is let in. */
async function opened(t: TestContext, content: string) {
  const path = join(await tempDir(t), 'tokens')
  await writeFile(path, content)
  const clock = createStepClock()
  const logged: string[] = []
  const logger = { ...silentLogger, error: (_fields: object, text: string) => void logged.push(text) }
  const tokens = await openTokenFile(path, logger as unknown as Logger, clock)
  const letIn = async (...asked: string[]) => {
    const names: Array<string | undefined> = []
    for (const token of asked) names.push((await tokens.authenticate(token))?.name)
    return names
  }
  return { path, clock, logged, letIn }
}

test('a file that is away or empty for a moment locks nobody out, and nobody stays in for longer than a minute', async (t) => {
  const spoils: Array<(path: string) => Promise<void>> = [
    (path) => rm(path),
    (path) => writeFile(path, ''),
    (path) => writeFile(path, '# nobody any more\n'),
    (path) => writeFile(path, 'half a li'),
    async (path) => {
      await rm(path)
      await mkdir(path)
    },
  ]
  for (const spoil of spoils) {
    const { path, clock, logged, letIn } = await opened(t, `ada ${hash('one')} *\n`)
    await spoil(path)
    assert.deepEqual(await letIn('one'), ['ada'])
    clock.advance(59_999)
    assert.deepEqual(await letIn('one', 'one'), ['ada', 'ada'])
    clock.advance(1)
    assert.deepEqual(await letIn('one', 'one'), [undefined, undefined])
    assert.deepEqual(logged, ['token file not readable', 'nobody is let in for want of a token file'])
    await rm(path, { recursive: true, force: true })
    await writeFile(path, `bob ${hash('two')} *\n`)
    assert.deepEqual(await letIn('one', 'two'), [undefined, 'bob'])
  }
})

test('a token that was taken away while nobody asked is refused at once', async (t) => {
  const { path, clock, letIn } = await opened(t, `ada ${hash('one')} *\n`)
  await rm(path)
  clock.advance(60_000)
  assert.deepEqual(await letIn('one'), [undefined])
})

test('a line that is no token loses itself alone', async (t) => {
  const { path, logged, letIn } = await opened(t, `ada ${hash('one')} *\nbob ${hash('two')} *\ncy ${hash('three')} *\n`)
  await writeFile(path, `ada ${hash('one')} *\nbob ${hash('two')}\ncy ${hash('three')} *\n`)
  assert.deepEqual(await letIn('one', 'two', 'three'), ['ada', undefined, 'cy'])
  assert.deepEqual(logged, ['a line of the token file counts for nothing'])
})

test('a change is seen where the time of writing was set back', async (t) => {
  const { path, letIn } = await opened(t, `ada ${hash('one')} *\n`)
  const { atime, mtime } = await stat(path)
  await writeFile(path, `ada ${hash('two')} *\n`)
  await utimes(path, atime, mtime)
  assert.deepEqual(await letIn('one', 'two'), [undefined, 'ada'])
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

test('limits stand behind the scopes, and a line whose limits are none counts for nothing', async (t) => {
  const path = join(await tempDir(t), 'tokens')
  const lines = [
    `ann ${hash('ann')} jobs:read registries=ghcr.io,docker.io repositories=ghcr.io/team/**,*/x kinds=pull`,
    ...['repositories=ghcr.io', 'repositories=', 'kinds=pull kinds=copy', 'other=1', '=x', 'kinds'].map(
      (limits, at) => `bad${at} ${hash(`bad${at}`)} * ${limits}`,
    ),
  ]
  await writeFile(path, lines[0] as string)
  const tokens = await openTokenFile(path, silentLogger)
  assert.deepEqual((await tokens.authenticate('ann'))?.limits, {
    registries: ['ghcr.io', 'docker.io'],
    repositories: ['ghcr.io/team/**', '*/x'],
    kinds: ['pull'],
  })
  await writeFile(path, lines.join('\n'))
  for (let at = 0; at < lines.length - 1; at++)
    assert.equal(await tokens.authenticate(`bad${at}`), undefined, lines[at + 1])
  assert.equal((await tokens.authenticate('ann'))?.name, 'ann')
})

test('a credential is what its line says now, and a line that goes is told', async (t) => {
  const path = join(await tempDir(t), 'tokens')
  await writeFile(path, `ann ${hash('a')} jobs:read\nbob ${hash('b')} *\n`)
  const tokens = await openTokenFile(path, silentLogger)
  const { credential = '' } = (await tokens.authenticate('a')) ?? {}
  assert.deepEqual([...((await tokens.current(credential))?.scopes ?? [])], ['jobs:read'])
  const told = Promise.withResolvers<void>()
  t.after(tokens.onChange(() => told.resolve()))
  await writeFile(path, `bob ${hash('b')} *\n`)
  await told.promise
  assert.equal(await tokens.current(credential), undefined)
})

test('scopes that there are not are told once, and the token goes on', async (t) => {
  const path = join(await tempDir(t), 'tokens')
  await writeFile(path, `ada ${hash('one')} jobs,jobs:read\n`)
  const warned: object[] = []
  const logger = { ...silentLogger, info: () => {}, warn: (fields: object) => void warned.push(fields) }
  const tokens = await openTokenFile(path, logger)
  assert.deepEqual([...((await tokens.authenticate('one'))?.scopes ?? [])], ['jobs', 'jobs:read'])
  await writeFile(path, `ada ${hash('one')} jobs,jobs:read\nbob ${hash('two')} *,what\n`)
  assert.equal((await tokens.authenticate('two'))?.name, 'bob')
  assert.deepEqual(warned, [
    { path, principal: 'ada', scopes: ['jobs'] },
    { path, principal: 'bob', scopes: ['what'] },
  ])
})

test('of two lines for one token the last one counts, and goes on counting', async (t) => {
  const path = join(await tempDir(t), 'tokens')
  await writeFile(path, `ada ${hash('one')} *\nbob ${hash('one')} jobs:read\n`)
  const tokens = await openTokenFile(path, silentLogger)
  const bob = await tokens.authenticate('one')
  assert.deepEqual([bob?.name, await tokens.current(bob?.credential ?? '')], ['bob', bob])
})
