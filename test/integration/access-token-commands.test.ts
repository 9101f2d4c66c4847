import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startTokenApp } from '../helpers/streams/token-app.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const commands =
  (api: string) =>
  async (argv: readonly string[], token: string | undefined = 'root') => {
    const { terminal, out, err } = pipeTerminal(api)
    const exit = await runCommand(argv, { ...terminal, env: { ...terminal.env, token } })
    return { exit, out: out(), err: err() }
  }

async function bed(t: TestContext) {
  const started = await startTokenApp(t)
  return { ...started, run: commands(await started.listen()) }
}

test('layerd tokens add, tokens and tokens rm issue a token, list it and take it away', async (t) => {
  const { run, status, ask } = await bed(t)
  const add = ['tokens', 'add', 'ci', '--scopes', 'jobs:write, packages:read', '--repositories', 'r.example/team/**']
  const { exit, out, err } = await run([...add, '--kinds', 'pull,copy', '--expires', '30d', '--description', 'a b'])
  assert.equal(exit, 0, err)
  assert.match(out, /^ldt_[0-9a-f]{16}_[\w-]{43}\n$/, 'the token alone')
  const [, id = ''] = /^ldt_([0-9a-f]+)_/.exec(out) ?? []
  assert.match(err, new RegExp(`the token ${id} of ci is issued, and expires \\d{4}-`))
  assert.ok(!err.includes(out.trim().slice(-43)))
  assert.equal(await status(out.trim(), '/v1/session'), 200)
  const told = (await ask('root', { url: `/v1/tokens/${id}` })).json<{ createdAt: string; expiresAt: string }>()
  assert.partialDeepStrictEqual(told, {
    scopes: ['jobs:write', 'packages:read'],
    limits: { repositories: ['r.example/team/**'], kinds: ['pull', 'copy'] },
    description: 'a b',
  })
  assert.ok(Math.abs(Date.parse(told.expiresAt) - Date.parse(told.createdAt) - 30 * 86_400_000) < 1000)

  const long = ['tokens', 'add', 'a-name-that-is-longer-than-its-column', '--scopes', '*', '--expires', '2100-01-31']
  const quiet = await run([...long, '--quiet'])
  assert.deepEqual([quiet.exit, quiet.err], [0, ''])
  const json = JSON.parse((await run([...long, '--json'])).out) as { token: string; expiresAt: string }
  assert.match(json.token, /^ldt_/)
  assert.equal(json.expiresAt, '2100-01-31T00:00:00.000Z')
  const list = (await run(['tokens'])).out
  assert.match(list, /^TOKEN +NAME +SCOPES +EXPIRES +USED\n/)
  assert.match(list, new RegExp(`\n${id} +ci +jobs:write,… limited +\\d{4}-\\d\\d-\\d\\d +`))
  for (const line of list.split('\n')) assert.ok(line.length <= 80, line)
  assert.equal((await run(['tokens', '--json'])).out.trim().split('\n').length, 3)

  assert.deepEqual(await run(['tokens', 'rm', id]), { exit: 0, out: `the token ${id} is taken away\n`, err: '' })
  assert.equal(await status(out.trim(), '/v1/session'), 401)
  assert.equal((await run(['tokens', 'rm', id])).exit, 1)
})

test('what is no good is told, with what to do', async (t) => {
  const { run } = await bed(t)
  const cases: Array<[string[], number, RegExp]> = [
    [['tokens', 'add', 'ci'], 2, /required option '--scopes/],
    [['tokens', 'add', 'ci', '--scopes', '*', '--expires', 'soon'], 2, /--expires takes 30d, 12h, 90m or a date/],
    [['tokens', 'add', 'ci', '--scopes', 'jobs:all'], 1, /must be one of/],
    [['tokens', 'add', 'root', '--scopes', '*'], 1, /not for tokens that are issued/],
    [['tokens', 'rm', 'none'], 1, /there is no token none/],
  ]
  for (const [argv, code, says] of cases) {
    const { exit, err, out } = await run(argv)
    assert.deepEqual([exit, out], [code, ''], argv.join(' '))
    assert.match(err, says)
  }
})

test('a secret is in nothing that a daemon keeps or says', async (t) => {
  const [dataDir, folder] = [await tempDir(t), await tempDir(t)]
  const tokensFile = join(folder, 'tokens')
  await writeFile(tokensFile, tokenLine('root', '*'))
  const env = { LAYERD_TOKENS_FILE: tokensFile, LAYERD_LOG_LEVEL: 'trace', LAYERD_LOG_FORMAT: 'json' }
  const layerd = await startLayerd(t, { dataDir, env })
  const url = await readyUrl(layerd)
  const run = commands(url)
  const tokens: string[] = []
  for (const name of ['a', 'b']) tokens.push((await run(['tokens', 'add', name, '--scopes', '*'])).out.trim())
  for (const token of tokens) {
    assert.match(token, /^ldt_/)
    for (const path of ['/v1/session', '/v1/tokens', '/v1/nothing']) {
      await (await fetch(url + path, { headers: { authorization: `Bearer ${token}` } })).text()
    }
  }
  await run(['tokens', 'rm', tokens[0]?.split('_')[1] ?? ''])
  assert.equal((await fetch(`${url}/v1/session`, { headers: { authorization: `Bearer ${tokens[0]}` } })).status, 401)
  assert.equal((await fetch(`${url}/v1/session`, { headers: { authorization: `Bearer ${tokens[1]}` } })).status, 200)
  await layerd.stop()
  const kept = (await readdir(dataDir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  const texts = await Promise.all(kept.map(({ parentPath, name }) => readFile(join(parentPath, name), 'latin1')))
  const all = [...texts, layerd.output()].join('\n')
  for (const token of tokens) {
    const [, id = '', ...secret] = token.split('_')
    assert.ok(all.includes(id), 'what is looked through is what was kept')
    assert.ok(!all.includes(secret.join('_')))
  }
})
