import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Registry } from '../../src/http/schemas/registry.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startApp } from '../helpers/streams/http-app.ts'

const ANN = { user: 'ann', password: 'right-password' }

/** The command line at a daemon's API. */
async function bed(t: TestContext) {
  const started = await startApp(t)
  const api = await started.listen()
  const run = async (argv: readonly string[], input = '') => {
    const { terminal, out, err } = pipeTerminal(api)
    const text = (async function* () {
      yield input
    })()
    const stdin = input === 'keyboard' ? Object.assign(text, { isTTY: true }) : text
    const exit = await runCommand(argv, { ...terminal, stdin })
    return { exit, out: out(), err: err() }
  }
  return { ...started, run }
}

test('layerd login keeps what the registry takes, and tells no secret', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: ANN })
  const { run, registries } = await bed(t)
  const login = ['login', registry.host, '--username', ANN.user]
  const wrong = await run(login, 'wrong-password\n')
  assert.equal(wrong.exit, 1)
  assert.match(wrong.err, /^failed {3}login {5}.*\n {19}It did not take the user "ann"/)
  assert.match(wrong.err, /nothing is kept; --no-check/)
  assert.deepEqual(await registries.list(), [])

  const right = await run([...login, '--password-stdin', '--repository', 'team/**'], `${ANN.password}\n`)
  assert.deepEqual(right, { exit: 0, out: `credentials of ${registry.host} are kept, for team/**\n`, err: '' })
  const [record] = await registries.list()
  assert.ok(record)
  assert.deepEqual(registries.secretOf(record), { kind: 'basic', username: 'ann', password: ANN.password })

  // What is not said again stays.
  const again = await run([...login, '--json'], ANN.password)
  const { repositories, credentials } = JSON.parse(again.out) as Registry
  assert.deepEqual([repositories, credentials], [['team/**'], { kind: 'basic', username: 'ann' }])
  const list = await run(['registries'])
  assert.match(
    list.out,
    /^REGISTRY +CREDENTIALS +USER +REPOSITORIES +OVER +WAY +LIMITS +PROFILE\n127\.0\.0\.1:\d+ +basic +ann +team\/\*\* +https +none +unknown\n$/,
  )
  for (const { out, err } of [wrong, right, again, list]) assert.doesNotMatch(out + err, /(?:right|wrong)-password/)

  assert.deepEqual(await run(['logout', registry.host]), {
    exit: 0,
    out: `nothing is kept of ${registry.host} any more\n`,
    err: '',
  })
  assert.equal((await run(['logout', registry.host])).exit, 1)
  assert.deepEqual(await registries.list(), [])
})

test('a registry may be named as a reference names it, with oci:// in whatever case', async (t) => {
  const { run, registries } = await bed(t)
  for (const place of ['OCI://a.example', 'oci://a.example/']) {
    assert.equal((await run(['login', place, '--no-check', '--username', 'ann'], 'secret\n')).exit, 0)
    assert.deepEqual(
      (await registries.list()).map(({ host }) => host),
      ['a.example'],
    )
    assert.equal((await run(['logout', place])).exit, 0)
  }
})

test('credentials of a path are kept for it, listed with it and forgotten with it', async (t) => {
  const { run, registries } = await bed(t)
  const login = ['login', 'harbor.example/team-a', '--no-check', '--username', 'robot']
  assert.equal(
    (await run(login, 'secret\n')).out,
    'credentials of harbor.example/team-a are kept, for all of its repositories\n',
  )
  const plain = await run([...login, '--plain-http'], 'secret\n')
  assert.match(plain.err, /plainHttp" is of a registry/)
  assert.equal((await run(['login', '[::1]:5000', '--no-check', '-u', 'ann'], 'secret\n')).exit, 0)
  assert.match(
    (await run(['registries', '--quiet'])).out,
    /^\[::1\]:5000 .*\nharbor\.example\/team-a +basic +robot +all /,
  )
  assert.equal((await run(['logout', 'harbor.example/team-a'])).exit, 0)
  assert.equal((await run(['logout', 'oci://[::1]:5000'])).exit, 0)
  assert.deepEqual(await registries.list(), [])
})

test('tokens are kept by their kind, without the registry where that is wanted', async (t) => {
  const { run, registries } = await bed(t)
  const keep = (...words: string[]) => run(['login', 'a.example', '--no-check', ...words], 'the-token\n')
  assert.equal((await keep('--kind', 'identity-token', '--plain-http')).exit, 0)
  const [identity] = await registries.list()
  assert.equal(identity?.plainHttp, true)
  assert.deepEqual(identity && registries.secretOf(identity), {
    kind: 'identity',
    username: '',
    identityToken: 'the-token',
  })
  assert.equal((await keep('--kind', 'registry-token')).exit, 0)
  const [bearer] = await registries.list()
  assert.equal(bearer?.plainHttp, true)
  assert.deepEqual(bearer && registries.secretOf(bearer), { kind: 'registry', registryToken: 'the-token' })
})

test('a password is taken from nowhere but standard input', async (t) => {
  const { run, registries } = await bed(t)
  for (const [words, input, pattern] of [
    [['-u', 'ann'], 'keyboard', /comes on standard input/],
    [['-u', 'ann'], '\n', /standard input is empty/],
    [[], 'secret', /needs --username/],
    [['-u', 'ann', '--kind', 'registry-token'], 'secret', /has no --username/],
    [['-u', 'ann', '--password', 'secret'], '', /unknown option '--password'/],
    [['-u', 'ann', '--kind', 'secret'], '', /argument 'secret' is invalid/],
  ] as const) {
    const { exit, err } = await run(['login', 'a.example', '--no-check', ...words], input)
    assert.equal(exit, 2, words.join(' '))
    assert.match(err, pattern)
  }
  assert.deepEqual(await registries.list(), [])
})
