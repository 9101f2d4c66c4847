import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryPing } from '../../src/http/schemas/registry.ts'
import { createOutboundPolicy } from '../../src/oci/connections.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tokensFileOf } from '../helpers/streams/tokens.ts'

const ANN = { user: 'ann', password: 'right-password' }
const auth = (password: string) => Buffer.from(JSON.stringify({ username: ANN.user, password })).toString('base64url')
const pathOf = (host: string) => `/v1/registries/${encodeURIComponent(host)}/ping`

test('a registry is pinged with the credentials of the caller', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: ANN })
  const { app } = await startApp(t)
  const ask = async (password: string) => {
    const headers = { 'x-registry-auth': auth(password), 'content-type': 'application/json' }
    const payload = JSON.stringify({ repository: 'team/nemo' })
    return app.inject({ method: 'POST', url: pathOf(registry.host), headers, payload })
  }
  const right = await ask(ANN.password)
  assert.equal(right.statusCode, 200)
  assert.equal(right.headers['cache-control'], 'no-store')
  const report = right.json<RegistryPing>()
  assert.deepEqual(
    [report.host, report.ok, report.scheme, report.profile],
    [registry.host, true, 'http', 'distribution'],
  )
  assert.equal(report.checks.at(-1)?.name, 'push')
  const wrong = await ask('wrong-password')
  assert.deepEqual([wrong.statusCode, wrong.json<RegistryPing>().ok], [200, false])
  assert.doesNotMatch(wrong.body, /wrong-password/)
})

test('a ping needs the scope registries:admin, which * has', async (t) => {
  const scopes = { all: '*', admin: 'jobs:write,registries:admin', other: 'registries:read,registries:admins' }
  const tokensFile = await tokensFileOf(t, scopes)
  const pinged: string[] = []
  const { app } = await startApp(t, {
    tokensFile,
    async ping({ registry }) {
      pinged.push(registry)
      return { host: registry, ok: true, scheme: null, profile: 'unknown', checks: [] }
    },
  })
  const ask = (token: string, url: string, method: 'POST' | 'GET' = 'POST') =>
    app.inject({ method, url, headers: { authorization: `Bearer ${token}` } })
  for (const token of ['all', 'admin']) assert.equal((await ask(token, pathOf('a.example'))).statusCode, 200, token)
  const refused = await ask('other', pathOf('b.example'))
  assert.equal(refused.statusCode, 403)
  const { code, detail, hint, details } = refused.json()
  assert.equal(code, 'SCOPE_MISSING')
  assert.match(detail, /"other" does not have the scope registries:admin/)
  assert.match(hint, /registries:admin/)
  assert.deepEqual(details, { scope: 'registries:admin' })
  assert.equal((await ask('nobody', pathOf('b.example'))).statusCode, 401)
  assert.deepEqual(pinged, ['a.example', 'a.example'])
  assert.equal((await ask('admin', '/v1/jobs', 'GET')).statusCode, 200)
  assert.equal((await ask('other', '/v1/jobs', 'GET')).statusCode, 403)
})

test('the host is a name or an address with or without a port, and nothing else', async (t) => {
  const pinged: string[] = []
  const policy = createOutboundPolicy({ allowed: ['*.example', '*.example:5000'], named: [], anywhere: true })
  const { app } = await startApp(t, {
    mayName: policy.check,
    async ping({ registry, repository }) {
      pinged.push(`${registry} ${repository}`)
      return { host: registry, ok: true, scheme: null, profile: 'unknown', checks: [] }
    },
  })
  const open = await startApp(t, {
    async ping({ registry }) {
      pinged.push(registry)
      return { host: registry, ok: true, scheme: null, profile: 'unknown', checks: [] }
    },
  })
  const ask = async (url: string, body?: object, to = app) => {
    const answer = await to.inject({ method: 'POST', url, ...(body ? { payload: body } : {}) })
    return answer.statusCode === 200 ? 200 : answer.json().code
  }
  assert.equal(await ask(pathOf('[::1]:5000'), undefined, open.app), 200)
  assert.equal(await ask(pathOf('127.0.0.1'), undefined, open.app), 200)
  assert.equal(await ask(pathOf('Registry.Example:5000'), { repository: 'team/nemo' }), 200)
  assert.deepEqual(pinged, ['[::1]:5000', '127.0.0.1', 'registry.example:5000 team/nemo'])
  for (const host of ['a.example/team', 'a b', 'a.example:99999', 'https://a.example', 'ann@a.example']) {
    assert.equal(await ask(pathOf(host)), 'REFERENCE_INVALID', host)
  }
  assert.equal(await ask(pathOf('elsewhere.test')), 'REGISTRY_NOT_ALLOWED')
  assert.equal(await ask(pathOf('a.example'), { repository: 'Team/nemo' }), 'REFERENCE_INVALID')
  assert.equal(await ask(pathOf('a.example'), { repository: 'team/nemo:1.0.0' }), 'REFERENCE_INVALID')
  assert.equal(await ask(pathOf('a.example'), { repository: '' }), 'BODY_INVALID')
  assert.equal(await ask(pathOf('a.example'), { nothing: true }), 'BODY_INVALID')
  assert.equal(pinged.length, 3)
})

test('layerd ping prints a line for each check, and its exit code tells', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: ANN })
  const api = await (await startApp(t)).listen()
  const run = async (words: readonly string[], password: string) => {
    const { terminal, out, err } = pipeTerminal(api)
    const stdin = (async function* () {
      yield `${password}\n`
    })()
    const login = ['--username', ANN.user, '--password-stdin']
    const exit = await runCommand(['ping', ...words, ...login], { ...terminal, stdin })
    return { exit, out: out(), err: err() }
  }
  const good = await run([`${registry.host}/team/nemo`], ANN.password)
  assert.equal(good.exit, 0, good.err)
  const lines = good.out.trimEnd().split('\n')
  assert.match(lines[0] ?? '', /^ok {7}name {6}127\.0\.0\.1 is an address, no name$/)
  assert.ok(
    lines.some((line) => /^ok {7}push {6}an upload session to team\/nemo was opened/.test(line)),
    good.out,
  )
  assert.equal(lines.at(-1), `${registry.host}: usable, with 1 warning`)

  const named = await run([`OCI://${registry.host}/team/nemo`], ANN.password)
  assert.equal(named.exit, 0, named.err)

  const bad = await run([registry.host], 'wrong-password')
  assert.equal(bad.exit, 1)
  assert.match(bad.out, /^failed {3}login {5}.*\n {19}It did not take the user "ann"/m)
  assert.match(bad.out, /: 1 of 10 checks failed\n$/)
  const json = await run([`oci://${registry.host}`, '--json'], ANN.password)
  assert.equal((JSON.parse(json.out) as RegistryPing).ok, true)
  assert.deepEqual(await run([registry.host, '--quiet'], 'wrong-password'), { exit: 1, out: 'failed\n', err: '' })
})
