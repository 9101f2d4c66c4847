import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { AppError } from '../../src/lib/errors.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { found, ping, states } from '../helpers/registries/pinging.ts'
import { type Script, startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { bearer, refuse, startTokenServer } from '../helpers/registries/token-server.ts'
import type { Cleanup } from '../helpers/cleanup.ts'

const ANN = { user: 'ann', password: 'right-password' }

test('a registry with Basic: who may push is told so, and no upload session is left', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: ANN })
  const report = await ping(t, `${registry.host}/team/nemo`, ANN)
  assert.equal(report.ok, true, JSON.stringify(report))
  assert.match(found(report, 'api'), /^ok \| \/v2\/ answers 401: it wants a log-in by Basic$/)
  assert.match(found(report, 'login'), /^ok \| it lets the user "ann" in; credentials: X-Registry-Auth$/)
  assert.match(found(report, 'pull'), /^warning \| there is no team\/nemo, or it is hidden/)
  assert.match(
    found(report, 'push'),
    /^ok \| an upload session to team\/nemo was opened \(POST\) and given up \(DELETE\)$/,
  )
  assert.match(found(report, 'kind'), /speaks the registry API v2/)
  assert.equal(states(report)['clock'], 'ok')
  const kept = await readdir(registry.storage, { recursive: true })
  assert.ok(
    kept.some((path) => path.endsWith('team/nemo/_uploads')),
    kept.join(' '),
  )
  // It writes the states of its hashes once more after it has deleted the session.
  assert.deepEqual(
    kept.filter((path) => path.endsWith('/startedat')),
    [],
  )
})

test('a password that is refused fails the log-in, and is not shown to the repository', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: ANN })
  const report = await ping(t, `${registry.host}/team/nemo`, { ...ANN, password: 'wrong-password' })
  assert.equal(report.ok, false)
  assert.match(found(report, 'login'), /^failed \| .*answered 401.* \| It did not take the user "ann"/)
  assert.match(found(report, 'pull'), /^skipped \| these credentials are not shown again/)
  assert.equal(states(report)['push'], 'skipped')
  assert.doesNotMatch(registry.logs(), /team\/nemo/)
  assert.doesNotMatch(JSON.stringify(report), /wrong-password/)
})

test('without credentials it is told that a registry wants some', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: ANN })
  const report = await ping(t, `${registry.host}/team/nemo`)
  for (const name of ['login', 'pull', 'push'])
    assert.match(found(report, name), /^failed \| .*No credentials are known/)
})

test('a registry with tokens: who may only pull is told which right is missing', async (t) => {
  const tokens = await startTokenServer(t, {
    users: { ann: ANN.password },
    rights: (_user, _name, action) => action === 'pull',
  })
  const { realm, service, issuer, rootCertBundle } = tokens
  const registry = await startDockerRegistry(t, { token: { realm, service, issuer, rootCertBundle } })
  const report = await ping(t, `${registry.host}/team/nemo`, ANN)
  assert.ok(found(report, 'api').includes(`by Bearer with tokens of ${realm}`), found(report, 'api'))
  assert.equal(states(report)['login'], 'ok', JSON.stringify(report))
  assert.equal(states(report)['pull'], 'warning')
  assert.match(found(report, 'push'), /^failed \| .* \| .*repository:team\/nemo:pull,push/)
})

test('an open registry lets everybody in', async (t) => {
  const registry = await startDockerRegistry(t)
  const report = await ping(t, `${registry.host}/team/nemo`, ANN)
  assert.match(found(report, 'login'), /^ok \| it asked for no log-in/)
  assert.equal(states(report)['push'], 'ok')
  assert.equal(report.ok, true)
})

test('a broken credential is told where a log-in is wanted, and condemns nobody where none is', async (t) => {
  const broken = async () =>
    Promise.reject(new AppError('CREDENTIALS_INVALID', 'the helper is broken', { hint: 'Mend it.' }))
  const credentials = { find: async () => ({ id: 'x', source: 'a helper', credential: broken }) }
  const closed = await startDockerRegistry(t, { htpasswd: ANN })
  const refused = await ping(t, `${closed.host}/team/nemo`, { credentials })
  assert.match(found(refused, 'login'), /^failed \| the helper is broken \| Mend it\./)
  assert.equal(states(refused)['push'], 'skipped')
  const open = await ping(t, `${(await startDockerRegistry(t)).host}/team/nemo`, { credentials })
  assert.match(found(open, 'login'), /^warning \| .*the helper is broken/)
  assert.deepEqual([open.ok, states(open)['push']], [true, 'ok'])
})

/** What answers only what it is told to. */
const scripted = async (t: Cleanup, entry: Script, rest: Script) => {
  const server = await startScriptedServer(
    t,
    (request, response) => {
      request.resume()
      if (request.url === '/v2/') entry(request, response)
      else rest(request, response)
    },
    { records: true },
  )
  return server
}

const working: Script = (request, response) => {
  if (request.method === 'POST') response.writeHead(202, { location: `${request.url}session` }).end()
  else response.writeHead(request.method === 'DELETE' ? 204 : 200).end('{}')
}

test('/v2/ alone condemns nobody who serves the repository, and nothing else does without one', async (t) => {
  const server = await scripted(t, (_request, response) => response.writeHead(404).end('no'), working)
  const whole = await ping(t, `${server.host}/team/nemo`)
  assert.equal(whole.ok, true, JSON.stringify(whole))
  assert.match(found(whole, 'api'), /^warning \| \/v2\/ answers 404.* \| Some registries lack \/v2\//)
  assert.deepEqual([states(whole)['pull'], states(whole)['push']], ['ok', 'ok'])
  const alone = await ping(t, server.host)
  assert.equal(alone.ok, false)
  assert.match(found(alone, 'api'), /^failed \| .* \| Check that host and port/)
})

for (const [what, entry, expected] of [
  ['a web page', page, /^failed \| \/v2\/ answers 200, a web page/],
  [
    'a redirect',
    (_, response) => response.writeHead(302, { location: '/login' }).end(),
    /^failed \| .*302, a redirect/,
  ],
  ['a failure', (_, response) => response.writeHead(503).end(), /^failed \| .*503.*is failing/],
  ['a 401 without a challenge', (_, response) => refuse(response, undefined), /^warning \| .*401 and does not say how/],
  ['a 401 with an empty challenge', (_, response) => refuse(response, ''), /^warning \| .*401 and does not say how/],
  [
    'a log-in that nobody can',
    (_, response) => refuse(response, 'Negotiate'),
    /^failed \| .*by Negotiate \| layerd knows/,
  ],
  ['a refusal for its limit', limited, /^warning \| .*429: it asks to slow down/],
] satisfies ReadonlyArray<readonly [string, Script, RegExp]>) {
  test(`an answer to /v2/ that is ${what}`, async (t) => {
    const server = await scripted(t, entry, working)
    assert.match(found(await ping(t, server.host), 'api'), expected)
  })
}

function page(...[, response]: Parameters<Script>): void {
  response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><p>Log in</p>')
}

function limited(...[, response]: Parameters<Script>): void {
  response.writeHead(429, { 'retry-after': '7', 'ratelimit-remaining': '0;w=21600' }).end()
}

test('limits, clock and kind are read from the headers', async (t) => {
  const server = await scripted(
    t,
    (_request, response) => {
      response.sendDate = false
      response.writeHead(401, {
        'www-authenticate': 'Basic realm="Artifactory Realm"',
        'x-jfrog-version': 'Artifactory/7.93.2 79302900',
        server: 'nginx/1.22.1',
        'ratelimit-limit': '100;w=21600',
        'ratelimit-remaining': '76;w=21600',
        date: new Date(Date.now() - 600_000).toUTCString(),
      })
      response.end()
    },
    working,
  )
  const report = await ping(t, server.host, ANN)
  assert.equal(found(report, 'limits'), 'ok | ratelimit-limit: 100;w=21600, ratelimit-remaining: 76;w=21600')
  assert.match(
    found(report, 'clock'),
    /^warning \| its clock is (?:599|60\d) s behind this machine's \| Set both by NTP/,
  )
  assert.match(
    found(report, 'kind'),
    /most likely Artifactory 7\.93\.2; Server: nginx\/1\.22\.1; layerd's profile "artifactory"/,
  )
  const limits = found(await ping(t, (await scripted(t, limited, working)).host), 'limits')
  assert.match(limits, /^warning \| ratelimit-remaining: 0;w=21600, retry after 7 s/)
})

test('a session that cannot be given up is told, and the right to push is there all the same', async (t) => {
  const server = await scripted(
    t,
    (_request, response) => response.end('{}'),
    (request, response) =>
      request.method === 'DELETE' ? void response.writeHead(405).end() : working(request, response),
  )
  assert.match(found(await ping(t, `${server.host}/team/nemo`), 'push'), /^ok \| .*\(DELETE\) was refused with 405/)
})

test('nothing is tried twice: a server that fails is asked once for each check', async (t) => {
  const asked: string[] = []
  const server = await scripted(
    t,
    (_request, response) => response.end('{}'),
    (request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.writeHead(503).end()
    },
  )
  const report = await ping(t, `${server.host}/team/nemo`)
  assert.deepEqual([states(report)['pull'], states(report)['push']], ['failed', 'failed'])
  assert.deepEqual(asked, ['GET /v2/team/nemo/tags/list?n=1', 'POST /v2/team/nemo/blobs/uploads/'])
})

test('what a registry repeats of a password stands in no check', async (t) => {
  const password = 'Pa55-w0rd-of-ann'
  const header = Buffer.from(`ann:${password}`).toString('base64')
  const told = `${password} ${header}`
  const tokens = await startTokenServer(t, { users: { ann: password } })
  const challenges = [
    `Basic realm="${told}"`,
    `Bearer realm="http://${password}.test/${header}",service="${told}"`,
    bearer(tokens),
    `${password} x="y"`,
  ]
  for (const challenge of challenges) {
    const echo: Script = (request, response) =>
      response
        .writeHead(request.headers.authorization === undefined || challenge.includes('realm="Pa') ? 401 : 403, {
          'www-authenticate': challenge,
          server: told,
          'x-jfrog-version': `Artifactory/${password}`,
          'ratelimit-limit': told,
          'ratelimit-remaining': header.slice(0, 16),
        })
        .end(JSON.stringify({ errors: [{ code: 'DENIED', message: `${request.headers.authorization} ${told}` }] }))
    const server = await scripted(t, echo, echo)
    const text = JSON.stringify(await ping(t, `${server.host}/team/nemo`, { user: 'ann', password }))
    for (const secret of [password, header.slice(0, 16), header])
      assert.ok(!text.includes(secret), `${challenge}: ${text}`)
    assert.match(text, /\*\*\*/)
  }
})
