import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readProxies } from '../../../src/config/proxies.ts'

test('a proxy needs no scheme, and the name in small letters goes first', () => {
  assert.deepEqual(readProxies({}), {})
  assert.deepEqual(readProxies({ HTTP_PROXY: '', https_proxy: ' ' }), {})
  assert.deepEqual(
    readProxies({ HTTP_PROXY: 'proxy.example:3128', HTTPS_PROXY: 'https://b.example', NO_PROXY: '.a' }),
    {
      http: 'http://proxy.example:3128/',
      https: 'https://b.example/',
      no: '.a',
    },
  )
  assert.equal(readProxies({ HTTP_PROXY: 'http://a', http_proxy: 'b:1' }).http, 'http://b:1/')
  assert.equal(readProxies({ http_proxy: ' 127.0.0.1:3128\n' }).http, 'http://127.0.0.1:3128/')
  assert.equal(readProxies({ http_proxy: 'localhost:3128' }).http, 'http://localhost:3128/')
  assert.equal(readProxies({ http_proxy: '[::1]:3128' }).http, 'http://[::1]:3128/')
  assert.equal(readProxies({ http_proxy: 'bob:p%40w@127.0.0.1:1' }).http, 'http://bob:p%40w@127.0.0.1:1/')
})

const BROKEN: ReadonlyArray<readonly [value: string, said: RegExp]> = [
  ['http://bob:50%geheim@127.0.0.1:3128', /%25/],
  ['http://bob:ge#heim@127.0.0.1:3128', /%23/],
  ['http://bob:1#geheim@127.0.0.1:3128', /%23/],
  ['http://bob:1/geheim@127.0.0.1:3128', /%2F/],
  ['http://bob:1?geheim@127.0.0.1:3128', /%3F/],
  ['ftp://geheim@127.0.0.1:21', /http:\/\/ or https:\/\//],
  ['socks5://geheim@127.0.0.1:1080', /http:\/\/ or https:\/\//],
  ['http://', /http:\/\/ or https:\/\//],
  ['geheim 1', /http:\/\/ or https:\/\//],
]

for (const [value, said] of BROKEN) {
  test(`the proxy ${value} is refused by the variable's name, without its password`, () => {
    for (const name of ['HTTP_PROXY', 'https_proxy']) {
      assert.throws(
        () => readProxies({ [name]: value }),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'CONFIG_INVALID')
          assert.ok(error.message.startsWith(`${name}: `), error.message)
          assert.match(error.message, said)
          assert.doesNotMatch(error.message, /geheim|heim/)
          return true
        },
      )
    }
  })
}
