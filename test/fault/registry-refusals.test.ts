import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryCredential } from '../../src/oci/credentials/provider.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { type Script, startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { startTokenServer } from '../helpers/registries/token-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const ann = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const identity = { kind: 'identity', username: '<token>', token: 'an identity token' } as const
const uploads = '/v2/some/package/blobs/uploads/'
const SCOPE = /repository:some\/package:pull,push/

/** What a push is refused with by a registry that answers so. */
async function refusal(t: Cleanup, script: Script, credential: RegistryCredential | undefined): Promise<unknown> {
  const registry = await startScriptedServer(t, script)
  const transport = connect(t).transport(registry.host, { credential, plainHttp: true })
  return await transport
    .send(request(uploads, { method: 'POST', op: 'open upload session' }))
    .then(async (response) => {
      throw await transport.error(request(uploads, { method: 'POST' }), response)
    })
    .catch((error: unknown) => error)
}

/** A registry whose token service answers so; all that is refused is refused with `more` in the challenge. */
async function behindTokens(
  t: Cleanup,
  { answers, more = '' }: { answers?: [number, string] | undefined; more?: string },
): Promise<Script> {
  const tokens = await startTokenServer(t, { users: { ann: 'secret of ann' }, postStatus: answers?.[0] ?? 200 })
  if (answers) tokens.answerNext(...answers)
  return (incoming, response) => {
    const error = incoming.headers.authorization === undefined ? '' : more
    const challenge = `Bearer realm="${tokens.realm}",service="registry"${error}`
    response.writeHead(401, { 'www-authenticate': challenge }).end('{"errors":[{"code":"UNAUTHORIZED"}]}')
  }
}

const DENIED = '{"errors":[{"code":"DENIED","message":"denied"}]}'

for (const [name, answers, credential, code, hint] of [
  ['a wrong password with 401', [401, DENIED], ann, 'REGISTRY_UNAUTHORIZED', /did not take the user "ann": check/],
  [
    'a wrong password with 403',
    [403, DENIED],
    ann,
    'REGISTRY_UNAUTHORIZED',
    /"ann" \(or does not give it .*push\): check/,
  ],
  ['nobody with 401', [401, ''], undefined, 'REGISTRY_UNAUTHORIZED', /No credentials are known/],
  ['nobody with 403', [403, ''], undefined, 'REGISTRY_UNAUTHORIZED', /No credentials are known/],
  ['POST', [405, ''], identity, 'REGISTRY_UNAUTHORIZED', /takes no identity tokens/],
  [
    'the grant',
    [400, '{"error":"unsupported_grant_type"}'],
    identity,
    'REGISTRY_UNAUTHORIZED',
    /takes no identity tokens/,
  ],
  ['a spent identity token', [401, '{"error":"invalid_grant"}'], identity, 'REGISTRY_UNAUTHORIZED', /has run out/],
] as const) {
  test(`a token service that refuses ${name}: the hint says so`, async (t) => {
    const script = await behindTokens(t, { answers: [...answers] })
    const error = (await refusal(t, script, credential)) as { code: string; hint: string }
    assert.equal(error.code, code)
    assert.match(error.hint, hint)
  })
}

for (const [name, more, code, hint] of [
  ['without a word', '', 'REGISTRY_DENIED', SCOPE],
  ['for insufficient_scope', ',error="insufficient_scope"', 'REGISTRY_DENIED', SCOPE],
  ['as an invalid_token', ',error="invalid_token"', 'REGISTRY_UNAUTHORIZED', /key, issuer, service and clocks/],
] as const) {
  test(`a registry that refuses a token just given ${name}: ${code}`, async (t) => {
    const script = await behindTokens(t, { more })
    const error = (await refusal(t, script, ann)) as { code: string; hint: string }
    assert.equal(error.code, code)
    assert.match(error.hint, hint)
  })
}

/** Basic with rights, as an htpasswd file and zot's access control have it; `open` reads need no password. */
function basic(options: { password: string; open?: boolean }): Script {
  const right = `Basic ${btoa(`ann:${options.password}`)}`
  return (incoming, response) => {
    const reads = incoming.method === 'GET' && (options.open || incoming.headers.authorization === right)
    if (reads) response.end('{}')
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end('{"errors":[{"code":"UNAUTHORIZED"}]}')
  }
}

test('a Basic user who may enter but not push is told of rights, one with a wrong password of the password', async (t) => {
  const closed = { pingChallenge: 'Basic realm="r"' }
  const ask = async (password: string, options: { pingChallenge?: string }, open = false) => {
    const registry = await startScriptedServer(t, basic({ password, open }), options)
    const transport = connect(t).transport(registry.host, { credential: ann, plainHttp: true })
    return await transport.send(request(uploads, { method: 'POST' })).catch((error: unknown) => error)
  }
  const mayEnter = (await ask(ann.password, closed)) as { code: string; hint: string }
  assert.deepEqual([mayEnter.code, SCOPE.test(mayEnter.hint)], ['REGISTRY_DENIED', true])
  const wrong = (await ask('another', closed)) as { code: string; hint: string }
  assert.deepEqual([wrong.code, /did not take the user "ann"/.test(wrong.hint)], ['REGISTRY_UNAUTHORIZED', true])
  // Where all the world may enter, entry proves nothing.
  const open = (await ask('another', {}, true)) as { code: string; hint: string }
  assert.deepEqual([open.code, /did not take the user "ann"/.test(open.hint)], ['REGISTRY_UNAUTHORIZED', true])
})

test('a push that finds no place names the owner that has to exist (Gitea)', async (t) => {
  const error = await refusal(t, (_incoming, response) => response.writeHead(404).end('Not found.\n'), ann)
  const { code, hint } = error as { code: string; hint: string }
  assert.equal(code, 'REGISTRY_NAME_UNKNOWN')
  assert.match(hint, /"some" has to exist/)
})
