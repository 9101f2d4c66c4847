import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { startTokenApp } from '../helpers/streams/token-app.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'

interface Listed {
  roots: string[]
  items: Array<{ source: string; name: string; kind: string; toldByName: object | null }>
  skipped: object[]
  nextPageToken?: string
}

const PEOPLE = [
  tokenLine('maker', 'jobs:write', 'maker'),
  tokenLine('limited', 'jobs:write repositories=registry.example/team/**', 'limited'),
  tokenLine('puller', 'jobs:write kinds=pull,copy', 'puller'),
  tokenLine('verifier', 'jobs:write kinds=verify', 'verifier'),
].join('')

async function bed(t: TestContext) {
  const made = await startTokenApp(t, PEOPLE)
  const { root } = made
  await mkdir(join(root, 'team a'))
  for (const path of [
    'zarf-package-nemo-amd64-1.2.0.tar.zst',
    'team a/zarf-init-amd64-v0.84.0.tar.zst',
    'other #1.tar',
  ])
    await writeFile(join(root, path), 'bytes')
  await mkdir(join(root, 'unpacked'))
  for (const path of ['zarf.yaml', 'checksums.txt']) await writeFile(join(root, 'unpacked', path), '')
  await symlink('zarf-package-nemo-amd64-1.2.0.tar.zst', join(root, 'zarf-package-nemo-amd64-9.tar.zst'))
  const list = async (token: string, query = '') => {
    const answer = await made.ask(token, { method: 'GET', url: `/v1/files${query}` })
    return { answer, body: answer.json<Listed>() }
  }
  return { ...made, list }
}

test('the packages of the roots are listed page by page, and a job takes each as it is listed', async (t) => {
  const { list, ask, root } = await bed(t)
  const { answer, body } = await list('maker', '?pageSize=3')
  assert.deepEqual(body.roots, [root])
  assert.deepEqual(body.skipped, [])
  const next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers['link']))?.[1] ?? ''
  const { body: rest } = await list('maker', next.slice('/v1/files'.length))
  assert.equal(rest.nextPageToken, undefined)
  const items = [...body.items, ...rest.items]
  assert.deepEqual(
    items.map(({ name, kind }) => [name, kind]),
    [
      ['zarf-init-amd64-v0.84.0.tar.zst', 'init'],
      ['unpacked', 'folder'],
      ['zarf-package-nemo-amd64-1.2.0.tar.zst', 'package'],
      ['zarf-package-nemo-amd64-9.tar.zst', 'package'],
    ],
  )
  assert.deepEqual(items[2]?.toldByName, { name: 'nemo', architecture: 'amd64', version: '1.2.0' })
  const { body: others } = await list('maker', '?kind=archive')
  assert.deepEqual(
    others.items.map(({ name }) => name),
    ['other #1.tar'],
  )
  for (const { source } of [...items, ...others.items]) {
    const payload = { kind: 'publish', source, destination: 'oci://registry.example/team' }
    const made = await ask('maker', { method: 'POST', url: '/v1/jobs', payload })
    assert.equal(made.statusCode, 202, `${source}: ${made.body}`)
  }
})

test('it is found by a part of its path, and in one root', async (t) => {
  const { list, root } = await bed(t)
  const names = ({ body }: { body: Listed }) => body.items.map(({ name }) => name)
  assert.deepEqual(names(await list('maker', '?q=TEAM%20A')), ['zarf-init-amd64-v0.84.0.tar.zst'])
  assert.equal(names(await list('maker', `?root=${encodeURIComponent(root)}`)).length, 4)
  for (const query of [
    '?root=/etc',
    `?root=${encodeURIComponent(`${root}/..`)}`,
    '?pageToken=L2V0YwA',
    '?kind=device',
    '?path=/etc',
  ]) {
    const { answer, body } = await list('maker', query)
    assert.equal(answer.statusCode, 400, query)
    assert.equal((body as { code?: string }).code, 'REQUEST_INVALID', query)
  }
})

test('who may have jobs read files sees them, and nobody else', async (t) => {
  const { list } = await bed(t)
  for (const token of ['maker', 'limited', 'verifier', 'root'])
    assert.equal((await list(token)).body.items.length, 4, token)
  const { answer, body } = await list('puller')
  assert.equal(answer.statusCode, 403)
  assert.equal((body as { code?: string }).code, 'TOKEN_LIMITED')
})

test('layerd files prints a table, paths alone, or a line of JSON for each', async (t) => {
  const { root, listen } = await bed(t)
  const url = await listen()
  await mkdir(join(root, 'long'))
  await writeFile(join(root, 'long', `${'x'.repeat(200)}.tar`), '')
  const run = async (...argv: string[]) => {
    const { terminal, out, err } = pipeTerminal(url)
    const exit = await runCommand(['files', ...argv], { ...terminal, env: { url, token: 'maker' } })
    return { exit, out: out(), err: err() }
  }
  const table = await run('--limit', '3')
  assert.equal(table.exit, 0)
  const [head, ...lines] = table.out.trimEnd().split('\n')
  assert.match(head ?? '', /^KIND +SIZE +CHANGED +PATH$/)
  assert.match(lines[0] ?? '', /^init +5 B +\d+s +\/.*\/team a\/zarf-init-amd64-v0\.84\.0\.tar\.zst$/)
  assert.match(lines[1] ?? '', /^folder +\d+s +\/.*\/unpacked$/)
  assert.match(table.err, /^\(the first 3; --limit shows more\)\n$/)
  const quiet = await run('--quiet', '--kind', 'archive')
  assert.equal(quiet.out, `${root}/long/${'x'.repeat(200)}.tar\n${root}/other #1.tar\n`)
  const json = await run('--json', '--search', 'unpacked')
  assert.equal((JSON.parse(json.out) as { source: string }).source, `file://${root}/unpacked`)
  const none = await run('--search', 'nothing like it')
  assert.deepEqual([none.exit, none.out, none.err], [0, '', `(no packages in ${root})\n`])
})
