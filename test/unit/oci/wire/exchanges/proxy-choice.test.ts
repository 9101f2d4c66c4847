import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryWay } from '../../../../../src/oci/request/registry-way.ts'
import { proxyChoice, proxyFor } from '../../../../../src/oci/wire/exchanges/proxy-choice.ts'

const http = 'http://plain.example:3128/'
const https = 'http://bob:secret@secure.example:3129/'

/** Whether a request goes through the proxy, as golang.org/x/net's httpproxy decides it. */
const CASES: ReadonlyArray<readonly [no: string, through: readonly string[], past: readonly string[]]> = [
  ['', ['https://a.example', 'https://10.1.2.3', 'https://[fd00::1]'], []],
  ['example.com', ['https://example.org', 'https://myexample.com'], ['https://example.com', 'https://a.b.example.com']],
  ['Example.COM', [], ['https://EXAMPLE.com', 'https://a.example.com']],
  ['.example.com', ['https://example.com'], ['https://a.example.com', 'https://a.b.example.com:8443']],
  ['*.example.com', ['https://example.com'], ['https://a.example.com']],
  ['example.com:5000', ['https://example.com', 'https://a.example.com:5001'], ['https://a.example.com:5000']],
  ['example.com:443', ['http://example.com', 'https://example.com:5000'], ['https://example.com']],
  ['example.com:80', ['https://example.com'], ['http://example.com']],
  ['.example.com:5000', ['https://example.com:5000', 'https://a.example.com'], ['https://a.example.com:5000']],
  [' a.example , ,b.example,', ['https://c.example'], ['https://a.example', 'https://x.b.example']],
  ['*', [], ['https://a.example', 'http://10.1.2.3', 'https://[fd00::1]:5000']],
  ['a.example, *', [], ['https://b.example']],
  ['10.0.0.0/8', ['https://11.0.0.1', 'https://10.example.com'], ['https://10.1.2.3', 'https://10.255.255.255:5000']],
  ['10.1.2.77/24', ['https://10.1.3.1'], ['https://10.1.2.1']],
  ['0.0.0.0/0', ['https://a.example', 'https://[fd00::1]'], ['https://8.8.8.8']],
  ['fd00::/8', ['https://[fe80::1]', 'https://10.1.2.3'], ['https://[fd12::1]', 'https://[FD12:0::2]:5000']],
  ['10.0.0.0/8', ['https://[::ffff:11.1.2.3]'], ['https://[::ffff:10.1.2.3]']],
  ['10.1.2.3', ['https://10.1.2.4', 'https://a.10.1.2.3.example'], ['https://10.1.2.3', 'https://10.1.2.3:5000']],
  ['10.1.2.3:5000', ['https://10.1.2.3'], ['https://10.1.2.3:5000']],
  ['fd00::1', ['https://[fd00::2]'], ['https://[fd00::1]', 'https://[fd00:0:0::1]:5000']],
  ['[fd00::1]:5000', ['https://[fd00::1]', 'https://[fd00::2]:5000'], ['https://[fd00::1]:5000']],
  ['::ffff:10.1.2.3', ['https://10.1.2.4'], ['https://10.1.2.3']],
  ['bücher.example', [], ['https://xn--bcher-kva.example', 'https://a.bücher.example']],
  // What is none of these matches nothing, and keeps none of the others from it.
  [
    '10.0.0.0/33,10.0.0.0/x,10/8,/8,:5000,.,[,1.2.3.4/8/8,b.example',
    ['https://10.1.2.3', 'https://a.example:5000'],
    ['https://b.example'],
  ],
]

/** What Go's programs do not take, and others do. */
const MORE: typeof CASES = [
  [
    'a.example b.example\tc.example',
    ['https://d.example'],
    ['https://a.example', 'https://b.example', 'https://c.example'],
  ],
  ['[fd00::1]', ['https://[fd00::2]'], ['https://[fd00::1]:5000']],
  ['[fd00::]/8', ['https://[fe80::1]'], ['https://[fd12::1]']],
  ['10.0.0.0/8:5000', ['https://10.1.2.3'], ['https://10.1.2.3:5000']],
  ['*:5000', ['https://a.example'], ['https://a.example:5000', 'https://10.1.2.3:5000']],
  ['a.example', ['https://b.example.'], ['https://a.example.']],
]

for (const [no, through, past] of [...CASES, ...MORE]) {
  test(`NO_PROXY=${no}`, () => {
    const choose = proxyChoice({ http, https, no })
    for (const url of through) assert.ok(choose(new URL(url)), `${url} goes through it`)
    for (const url of past) assert.equal(choose(new URL(url)), undefined, `${url} goes past it`)
  })
}

test('https goes through the proxy of HTTPS_PROXY, else of HTTP_PROXY; http through that of HTTP_PROXY alone', () => {
  const named = (choose: ReturnType<typeof proxyChoice>, url: string) => choose(new URL(url))?.setting
  const both = proxyChoice({ http, https })
  assert.equal(both(new URL('https://a.example'))?.url.href, https)
  assert.deepEqual(
    ['https://a.example', 'http://a.example'].map((url) => named(both, url)),
    ['HTTPS_PROXY', 'HTTP_PROXY'],
  )
  assert.equal(named(proxyChoice({ http }), 'https://a.example'), 'HTTP_PROXY')
  assert.equal(named(proxyChoice({ https }), 'http://a.example'), undefined)
  assert.equal(named(proxyChoice({}), 'https://a.example'), undefined)
})

test('loopback never goes through a proxy', () => {
  const choose = proxyChoice({ http, https })
  for (const host of [
    'localhost',
    'LOCALHOST:5000',
    'a.localhost',
    '127.0.0.1:5000',
    '127.1.2.3',
    '[::1]:5000',
    '[::ffff:127.0.0.1]',
  ]) {
    for (const scheme of ['http', 'https']) assert.equal(choose(new URL(`${scheme}://${host}`)), undefined, host)
  }
})

test("a registry's own proxy is for its origin whatever it is called, and for what it names but for NO_PROXY and loopback", () => {
  const own = 'http://own.example:3130/'
  const environment = { http, https, no: 'past.example,127.0.0.2' }
  const { own: there, named } = registryWay({ place: '/v1/registries/x', proxy: own })
  const seen = (way: typeof there) => (url: string) => proxyFor(way, environment)(new URL(url))?.url.href
  const urls = [
    'https://a.example',
    'http://a.example',
    'https://past.example',
    'https://127.0.0.1:5000',
    'http://[::1]',
  ]
  assert.deepEqual(urls.map(seen(there)), [own, own, own, own, own])
  assert.deepEqual(urls.map(seen(named)), [own, own, undefined, undefined, undefined])
  assert.equal(proxyFor(there, environment)(new URL('https://a.example'))?.setting, '/v1/registries/x proxy')
  const direct = registryWay({ place: '/v1/registries/x', proxy: 'direct' })
  assert.deepEqual(urls.map(seen(direct.own)), Array(5).fill(undefined))
  assert.deepEqual(urls.map(seen(direct.named)), Array(5).fill(undefined))
  const common = registryWay({ place: '/v1/registries/x' })
  assert.deepEqual(urls.map(seen(common.own)), [https, http, undefined, undefined, undefined])
})
