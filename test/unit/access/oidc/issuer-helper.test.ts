import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { AUTHORIZE, startIssuer, TOKEN } from '../../../helpers/access/issuer.ts'

const redirectUri = 'http://127.0.0.1:1/back'
const verifier = 'v'.repeat(43)

async function opened(t: TestContext) {
  const issuer = await startIssuer(t)
  issuer.clientAuthentication = 'client_secret_post'
  issuer.clients.set('app', { id: 'app', secret: 'secret', redirectUris: [redirectUri] })
  const authorize = async (changes: Record<string, string> = {}) => {
    const asked = {
      response_type: 'code',
      client_id: 'app',
      redirect_uri: redirectUri,
      scope: 'openid',
      state: 's',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...changes,
    }
    return await fetch(`${issuer.url}${AUTHORIZE}?${new URLSearchParams(asked).toString()}`, { redirect: 'manual' })
  }
  const code = async () => new URL((await authorize()).headers.get('location') ?? '').searchParams.get('code') ?? ''
  const redeem = async (changes: Record<string, string>) => {
    const form = {
      grant_type: 'authorization_code',
      client_id: 'app',
      client_secret: 'secret',
      redirect_uri: redirectUri,
      code_verifier: verifier,
      ...changes,
    }
    const response = await fetch(issuer.url + TOKEN, { method: 'POST', body: new URLSearchParams(form) })
    const { error = 'none' } = (await response.json()) as { error?: string }
    return `${response.status} ${error}`
  }
  return { authorize, code, redeem }
}

test('the issuer of the tests redeems a code once, for its client, address and verifier alone', async (t) => {
  const { code, redeem } = await opened(t)
  const good = await code()
  assert.equal(await redeem({ code: good }), '200 none')
  assert.equal(await redeem({ code: good }), '400 invalid_grant')
  assert.equal(await redeem({ code: await code(), code_verifier: 'w'.repeat(43) }), '400 invalid_grant')
  assert.equal(await redeem({ code: await code(), redirect_uri: `${redirectUri}/` }), '400 invalid_grant')
  assert.equal(await redeem({ code: await code(), client_secret: 'wrong' }), '401 invalid_client')
  assert.equal(await redeem({ code: await code(), grant_type: 'password' }), '400 unsupported_grant_type')
})

test('the issuer of the tests sends nobody to an address that the client does not have', async (t) => {
  const { authorize } = await opened(t)
  assert.equal((await authorize({ redirect_uri: 'http://127.0.0.1:2/' })).status, 400)
  assert.equal((await authorize({ client_id: 'other' })).status, 400)
  for (const changes of [{ response_type: 'token' }, { code_challenge_method: 'plain' }, { scope: 'profile' }]) {
    const location = (await authorize(changes)).headers.get('location') ?? ''
    assert.match(location, /[?&]error=/)
  }
})
