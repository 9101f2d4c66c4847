import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readRegistryAuth } from '../../../../src/http/requests/registry-auth.ts'
import { AppError } from '../../../../src/lib/errors.ts'

const REGISTRY = 'registry.example:5000'
const encode = (value: unknown, alphabet: 'base64' | 'base64url' = 'base64url') =>
  Buffer.from(JSON.stringify(value)).toString(alphabet)

test('username and password are read from both base64 alphabets', () => {
  // The password's bytes give + and / in plain base64.
  const auth = { username: 'me', password: '>>>???ÿÿ', serveraddress: REGISTRY }
  for (const alphabet of ['base64', 'base64url'] as const) {
    assert.deepEqual(readRegistryAuth(encode(auth, alphabet), REGISTRY), {
      registry: REGISTRY,
      username: 'me',
      password: '>>>???ÿÿ',
    })
  }
})

test('tokens are read under the names that Docker gives them', () => {
  assert.deepEqual(readRegistryAuth(encode({ identitytoken: 'i', registrytoken: 'r' }), REGISTRY), {
    registry: REGISTRY,
    identityToken: 'i',
    registryToken: 'r',
  })
})

test('no header, an empty object and empty values mean no credentials', () => {
  const none = [{}, null, { username: '', password: '', serveraddress: '' }, { username: null, serveraddress: null }]
  for (const header of [undefined, '', ' ', ...none.map((value) => encode(value))]) {
    assert.equal(readRegistryAuth(header, REGISTRY), undefined, header)
  }
})

test('serveraddress may be written as docker login writes it', () => {
  const cases: Array<[serveraddress: string, registry: string]> = [
    [REGISTRY, REGISTRY],
    [`https://${REGISTRY}/v2/`, REGISTRY],
    ['REGISTRY.example:5000', REGISTRY],
    ['https://index.docker.io/v1/', 'docker.io'],
    ['', REGISTRY],
  ]
  for (const [serveraddress, registry] of cases) {
    assert.ok(readRegistryAuth(encode({ username: 'me', serveraddress }), registry), serveraddress)
  }
})

test('what cannot be credentials of this registry is refused without quoting it', () => {
  const secret = 'hunter2'
  const cases: Array<[string, RegExp]> = [
    ['%%%', /not base64url/],
    [Buffer.from(`{"password":"${secret}"`).toString('base64url'), /not JSON$/],
    [encode([secret]), /not a JSON object/],
    [encode(secret), /not a JSON object/],
    [encode({ username: 'me', password: { secret } }), /"password" is not a string/],
    [encode({ registrytoken: `${secret}\n` }), /"registrytoken" holds what a header cannot carry/],
    [encode({ username: 'me', password: secret, serveraddress: 'other.example' }), /another registry/],
    [encode({ username: 'me', password: secret, serveraddress: 'registry.example' }), /another registry/],
  ]
  for (const [header, message] of cases) {
    assert.throws(
      () => readRegistryAuth(header, REGISTRY),
      (error: unknown) => {
        assert.ok(error instanceof AppError)
        assert.equal(error.code, 'CREDENTIALS_INVALID')
        assert.match(error.message, message)
        assert.doesNotMatch(JSON.stringify([error.message, error.hint, error.details]), /hunter2/)
        assert.equal(error.cause, undefined)
        return true
      },
    )
  }
})
