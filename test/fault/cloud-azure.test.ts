import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { AZURE_TOKEN_USER } from '../../src/content/clouds.ts'
import { cloudsOf, toldBy } from '../helpers/clouds/asking.ts'
import { ENTRA, EXCHANGE, startFakeAzure } from '../helpers/clouds/fake-azure.ts'
import { connect, request } from '../helpers/registries/transport.ts'

async function bed(t: TestContext) {
  const azure = await startFakeAzure(t)
  return { azure, ask: cloudsOf(t, { env: { AZURE_AUTHORITY_HOST: azure.authority } }) }
}

test('a service principal gets a token of Entra, that a refresh token of the registry, and that lets in', async (t) => {
  const { azure, ask } = await bed(t)
  const credential = await ask(azure.registry, azure.principal)
  assert.partialDeepStrictEqual(credential, {
    kind: 'identity',
    username: AZURE_TOKEN_USER,
    token: azure.refreshTokens[0],
  })
  assert.deepEqual(
    azure.asked.map(({ path }) => path),
    [ENTRA, EXCHANGE],
  )
  const transport = connect(t).transport(azure.registry, { credential, plainHttp: false })
  assert.equal((await transport.send(request('/v2/some/package/tags/list'))).status, 200)
  assert.equal(azure.asked.at(-1)?.form.get('grant_type'), 'refresh_token')
  await ask(azure.registry, azure.principal)
  assert.equal(azure.refreshTokens.length, 1)
})

test('a refresh token is shown as it is', async (t) => {
  const { azure, ask } = await bed(t)
  const found = await ask(azure.registry, { kind: 'azure', refreshToken: 'given-refresh-token' })
  assert.deepEqual(found, { kind: 'identity', username: AZURE_TOKEN_USER, token: 'given-refresh-token' })
  assert.deepEqual(azure.asked, [])
})

for (const [name, path, status, body, expected] of [
  [
    'a wrong secret',
    ENTRA,
    401,
    { error: 'invalid_client', error_description: 'AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1' },
    {
      retry: 'permanent',
      message: /answered 401 invalid_client: AADSTS7000215: Invalid client secret provided\.$/,
      hint: /its value, not its id/,
    },
  ],
  [
    'an unknown tenant',
    ENTRA,
    400,
    { error: 'invalid_request', error_description: "AADSTS90002: Tenant 'x' not found." },
    { retry: 'permanent', hint: /check tenantId/ },
  ],
  ['a failure of Entra', ENTRA, 503, {}, { retry: 'transient' }],
  ['an answer without a token', ENTRA, 200, {}, { retry: 'permanent', message: /without an access token/ }],
  [
    'a registry that gives it no role',
    EXCHANGE,
    401,
    { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] },
    { retry: 'permanent', message: /answered 401 UNAUTHORIZED/, hint: /AcrPush/ },
  ],
  [
    'a registry that is none of Azure',
    EXCHANGE,
    404,
    '404 page not found',
    { retry: 'permanent', hint: /no registry of Azure/ },
  ],
  ['errors that are none', EXCHANGE, 403, { errors: [null] }, { retry: 'permanent', hint: /AcrPush/ }],
  ['a limit', EXCHANGE, 429, {}, { retry: 'transient' }],
  [
    'an exchange for nothing',
    EXCHANGE,
    200,
    { refresh_token: 7 },
    { retry: 'permanent', message: /for none of its own/ },
  ],
] as const) {
  test(`${name} is told in plain words`, async (t) => {
    const { azure, ask } = await bed(t)
    azure.answerNext(path, { status, body: typeof body === 'string' ? body : JSON.stringify(body) })
    await assert.rejects(ask(azure.registry, azure.principal), { code: 'CREDENTIALS_INVALID', ...expected })
  })
}

test('what Entra and the registry repeat of the secrets is not told', async (t) => {
  const { azure, ask } = await bed(t)
  const echo = {
    status: 400,
    body: JSON.stringify({
      error: azure.principal.clientSecret,
      error_description: `for ${azure.principal.clientSecret}`,
    }),
  }
  azure.answerNext(ENTRA, echo)
  await assert.rejects(ask(azure.registry, azure.principal), (error: Error) => {
    assert.ok(!toldBy(error).includes(azure.principal.clientSecret.slice(0, 12)), error.message)
    return true
  })
})

test('Entra is asked over https, or on this machine', async (t) => {
  const { azure } = await bed(t)
  const ask = cloudsOf(t, { env: { AZURE_AUTHORITY_HOST: 'http://login.example' } })
  await assert.rejects(ask(azure.registry, azure.principal), {
    code: 'CREDENTIALS_INVALID',
    message: /names no https address/,
  })
})
