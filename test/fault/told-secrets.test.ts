import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppError } from '../../src/lib/errors.ts'
import type { RegistryCredential } from '../../src/oci/credentials/provider.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const login = (password: string): RegistryCredential => ({ kind: 'basic', username: 'ann', password })
const tags = '/v2/some/package/tags/list'

/** What a caller is told by a registry that answers each of its requests so. */
async function told(
  t: Cleanup,
  credential: RegistryCredential,
  answer: { status: number; body: (shown: string) => string },
  renewed = credential,
): Promise<AppError> {
  const registry = await startScriptedServer(
    t,
    ({ headers: { authorization = '' } }, response) =>
      void response.writeHead(answer.status).end(answer.body(authorization)),
    { pingChallenge: 'Basic realm="x"' },
  )
  const caller = { credential, plainHttp: false, renew: async () => renewed }
  const transport = connect(t).transport(registry.host, caller)
  await transport.refreshAuth([{ repository: 'some/package', actions: ['pull'] }], AbortSignal.timeout(30_000))
  return transport.send(request(tags)).then(
    () => assert.fail('let in'),
    (error: AppError) => error,
  )
}

const refusal = (message: string) => JSON.stringify({ errors: [{ code: 'DENIED', message }] })

test('a password that was renewed is masked as well as the one that it replaces', async (t) => {
  const body = (shown: string) => refusal(`${shown}; old secret, newer secret`)
  const error = await told(t, login('old secret'), { status: 401, body }, login('newer secret'))
  assert.equal(error.upstream?.message, 'Basic ***; ***, ***')
})

test('with a password of three characters the registry is understood, but not repeated', async (t) => {
  const body = () => refusal('the tag is immutable, abc')
  const error = await told(t, login('abc'), { status: 403, body })
  assert.equal(error.code, 'TAG_IMMUTABLE')
  assert.match(error.message, /answered 403 DENIED: \*\*\*$/)
  assert.match(error.upstream?.url ?? '', /\/v2\/some\/package\/tags\/list$/)
})

test('a password that is the name of the repository is not told by a mask in its place', async (t) => {
  const error = await told(t, login('package'), { status: 403, body: () => refusal('no right to some/package') })
  assert.match(error.message, /answered 403 DENIED: \*\*\*$/)
  assert.match(error.upstream?.url ?? '', /\/v2\/some\/package\/tags\/list$/)
})

test('the path of a next page that repeats the password is masked', async (t) => {
  const registry = await startScriptedServer(t, ({ url = '' }, response) => {
    if (url.includes('hunter22')) return void response.writeHead(403).end(refusal('no'))
    return void response.writeHead(200, { link: '</v2/some/package/hunter22?n=2>; rel="next"' }).end('{"tags":["1"]}')
  })
  const repository = await openRepository(t, registry.host, {
    repository: 'some/package',
    credential: login('hunter22'),
  })
  await assert.rejects(repository.tags({ signal: AbortSignal.timeout(30_000) }), (error: AppError) => {
    assert.match(error.upstream?.url ?? '', /\/v2\/some\/package\/\*\*\*\?…$/)
    return true
  })
})

test('a text without secrets is told as it is', async (t) => {
  const error = await told(t, { kind: 'bearer', token: 'a token' }, { status: 403, body: () => refusal('no right') })
  assert.equal(error.upstream?.message, 'no right')
})
