import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { digestOf } from '../../src/content/digest.ts'
import { FIXTURES, publishedManifest } from '../helpers/packages/fixtures.ts'
import { fillRegistry } from '../helpers/packages/pulling.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const DIGEST = digestOf(publishedManifest('nemo'))
const ABSENT = `sha256:${'0'.repeat(64)}`

interface Given {
  input?: string
  token?: string
  /** Standard output is a screen of 80 columns. */
  screen?: boolean
}

/** The command line at a daemon of its own that wants tokens, in a folder of its own. */
async function bed(t: TestContext) {
  const folder = await tempDir(t)
  const tokensFile = join(folder, 'tokens')
  await writeFile(tokensFile, tokenLine('root', '*') + tokenLine('ci', 'jobs:write'))
  const env = { LAYERD_TOKENS_FILE: tokensFile }
  const url = await readyUrl(await startLayerd(t, { dataDir: await tempDir(t), env }))
  const run = async (argv: readonly string[], { input = '', token = 'root', screen = false }: Given = {}) => {
    const { terminal, out, err } = pipeTerminal(url)
    if (screen) Object.assign(terminal.stdout, { isTTY: true, columns: 80 })
    const stdin = (async function* () {
      yield input
    })()
    const exit = await runCommand(argv, { ...terminal, stdin, cwd: folder, env: { url, token } })
    const said = { exit, out: out(), err: err() }
    if (screen) for (const line of said.out.split('\n')) assert.ok(line.length <= 80, line)
    return said
  }
  return { url, folder, run }
}

type Bed = Awaited<ReturnType<typeof bed>>

test('layerd policies, audit and link at a daemon', async (t) => {
  const started = await bed(t)
  await t.test('a policy is kept, shown, changed by who has seen it, and forgotten', () => policies(started))
  await t.test('what is no good is told, with what to do', () => refusals(started))
  await t.test('the audit tells of it, newest first', () => audited(started))
  await t.test('a link prints its address alone, which lets in', (inner) => linked(inner, started))
})

async function policies({ run, folder }: Bed) {
  const rule = (changes: object) =>
    JSON.stringify({ match: ['ghcr.io/team/**'], verify: { mode: 'never' }, ...changes })
  const kept = { exit: 0, out: 'the policy 20-team is kept\n', err: '' }
  assert.deepEqual(await run(['policies', 'put', '20-team', '-'], { input: rule({}) }), kept)
  const file = join(folder, 'rule.json')
  await writeFile(
    file,
    rule({ match: Array.from({ length: 9 }, (_, at) => `ghcr.io/team-${at}/**`), kinds: ['pull', 'copy'] }),
  )
  assert.deepEqual(await run(['policies', 'put', '10-public', 'rule.json', '-q']), {
    exit: 0,
    out: '10-public\n',
    err: '',
  })
  const piped = (await run(['policies'])).out
  assert.match(
    piped,
    /^POLICY +WANTS +KINDS +MATCH\n10-public +nothing +pull,copy +ghcr.*team-8\/\*\*\n20-team +nothing +all +ghcr\.io\/team\/\*\*\n$/,
  )
  assert.match((await run(['policies'], { screen: true })).out, /\n10-public .*…\n20-team /)
  const json = (await run(['policies', '--json'])).out.trim().split('\n')
  assert.deepEqual(
    json.map((line) => (JSON.parse(line) as { name: string }).name),
    ['10-public', '20-team'],
  )

  const shown = await run(['policies', 'show', '20-team', '--json'])
  assert.match(
    (await run(['policies', 'show', '20-team'])).out,
    /^20-team\n {2}match {4}ghcr\.io\/team\/\*\*\n {2}wants {4}nothing\n/,
  )
  const again = await run(['policies', 'put', '20-team', '-'], { input: rule({}) })
  assert.equal(again.exit, 1)
  assert.match(again.err, /there is a policy 20-team .*--replace/)
  // What show told is changed and put back, which nobody has done meanwhile.
  const edited = JSON.stringify({ ...(JSON.parse(shown.out) as object), kinds: ['publish'] })
  const replaced = { exit: 0, out: 'the policy 20-team is replaced\n', err: '' }
  assert.deepEqual(await run(['policies', 'put', '20-team', '-'], { input: edited }), replaced)
  const late = await run(['policies', 'put', '20-team', '-'], { input: shown.out })
  assert.deepEqual([late.exit, late.out], [1, ''])
  assert.match(late.err, /20-team was changed at .*layerd policies show 20-team/)
  assert.match((await run(['policies', 'show', '20-team'])).out, /\n {2}kinds {4}publish\n/)
  assert.equal((await run(['policies', 'put', '20-team', '-', '--replace', '--json'], { input: shown.out })).exit, 0)
  assert.deepEqual(await run(['policies', 'rm', '20-team']), {
    exit: 0,
    out: 'the policy 20-team is forgotten\n',
    err: '',
  })
}

async function refusals({ run }: Bed) {
  const cases: Array<[argv: string[], code: number, says: RegExp, given?: Given]> = [
    [['policies', 'show', 'none'], 1, /there is no policy "none"[^]*layerd policies/],
    [['policies', 'rm', 'none'], 1, /there is no policy "none"[^]*layerd policies/],
    [['policies', 'put', 'x', 'none.json'], 1, /none\.json cannot be read \(ENOENT\)/],
    [['policies', 'put', 'x', '/dev/zero'], 1, /\/dev\/zero has more than 1048576 bytes/],
    [['policies', 'put', 'x', '-'], 1, /is no JSON object/, { input: '- match: [a]' }],
    [['policies', 'put', 'x', '-'], 1, /BODY_INVALID[^]*\/match/, { input: '{"match": [], "verify": {}}' }],
    [
      ['policies', 'put', 'x', '-'],
      1,
      /KEY_NOT_FOUND[^]*layerd keys/,
      { input: '{"match": ["*/**"], "verify": {"keyRef": "a"}}' },
    ],
    [['policies'], 1, /SCOPE_MISSING/, { token: 'ci' }],
    [['audit'], 1, /SCOPE_MISSING/, { token: 'ci' }],
    [['audit', '--until', 'soon'], 2, /--until takes a time/],
    [['audit', '--outcome', 'lost'], 1, /outcome/],
    [['audit', '--limit', '0'], 2, /from 1 to 20000/],
    [['link', 'nemo'], 2, /layerd packages/],
    [['link', DIGEST, '--expires', 'soon'], 2, /--expires takes/],
    [['link', ABSENT, '--expires', '2h'], 1, /BODY_INVALID[^]*expiresInSeconds/],
    [['link', ABSENT], 1, /PACKAGE_NOT_STORED[^]*layerd packages/],
  ]
  for (const [argv, code, says, given] of cases) {
    const { exit, out, err } = await run(argv, given)
    assert.deepEqual([exit, out], [code, ''], `${argv.join(' ')}: ${err}`)
    assert.match(err, says)
  }
}

async function audited({ run }: Bed) {
  await waitFor('the last one to be in the audit', async () =>
    (await run(['audit', '--action', 'createPackageLink'])).out.includes('PACKAGE_NOT_STORED'),
  )
  const removed = await waitFor('the audit to tell what was done', async () => {
    const { out } = await run(['audit', '--principal', 'root', '--action', 'deletePolicy', '--outcome', 'succeeded'])
    return out.split('\n').length === 3 ? out : undefined
  })
  assert.match(
    removed,
    /^TIME +WHO +WHAT +OUTCOME +ON +FROM\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}root +deletePolicy +succeeded +name=20-team +127\.0\.0\.1\n$/,
  )
  const times = async (argv: string[]) =>
    (await run(['audit', '--json', ...argv])).out
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { time: string }).time)
  const all = await times(['--limit', '500'])
  assert.ok(all.length > 10)
  assert.deepEqual(all, all.toSorted().toReversed())
  assert.deepEqual(
    await times(['--until', all[4] ?? '', '--limit', '2']),
    all.filter((time) => time <= (all[4] ?? '')).slice(0, 2),
  )
  assert.deepEqual(await times(['--since', '2100-01-01']), [])
  const some = await run(['audit', '-n', '3', '--outcome', 'refused', '--outcome', 'failed'], { screen: true })
  assert.equal(some.err, '(the newest 3; --limit shows more)\n')
  assert.match(some.out, /^TIME +WHO +WHAT +OUTCOME/)
  const refused = await run(['audit', '--outcome', 'refused', '-q'])
  assert.match(
    refused.out,
    /^\S+ \S+ {2}ci +listAudit +SCOPE_MISSING +127\.0\.0\.1\n\S+ \S+ {2}ci +listPolicies +SCOPE_MISSING/,
  )
}

async function linked(t: TestContext, { run, url }: Bed) {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const nemo = { path: FIXTURES.nemoAmd64, published: 'nemo', architecture: 'amd64' } as const
  await fillRegistry(registry, { repository: 'team/nemo', tag: '1.2.0' }, [nemo])
  const pulled = await run(['pull', `oci://${registry.host}/team/nemo:1.2.0`, '-a', 'amd64', '--store', '--plain-http'])
  assert.equal(pulled.exit, 0, pulled.err)
  const { exit, out, err } = await run(['link', DIGEST, '--expires', '1h'])
  assert.equal(exit, 0, err)
  assert.equal(out.indexOf(`${url}/v1/packages/${DIGEST}/archive?link=`), 0, out)
  assert.equal(out.split('\n').length, 2)
  assert.match(err, /^Whoever has it may fetch the archive, until \d{4}-/)
  assert.ok(!err.includes('link='))
  const [part, whole] = [await run(['link', `store:${DIGEST}`, '--metadata-only', '-q']), await fetch(out.trim())]
  assert.deepEqual([part.exit, part.err, whole.status], [0, '', 200])
  const bytes = async (response: Response) => (await response.arrayBuffer()).byteLength
  assert.ok((await bytes(await fetch(part.out.trim()))) < (await bytes(whole)))
  const json = JSON.parse((await run(['link', DIGEST, '--json'])).out) as { url: string }
  assert.equal((await fetch(json.url, { method: 'HEAD' })).status, 200)
}
