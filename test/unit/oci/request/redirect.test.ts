import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallFacts } from '../../../../src/oci/errors/errors.ts'
import { NO_SECRETS } from '../../../../src/oci/errors/mask.ts'
import { ANYWHERE, Outbound } from '../../../../src/oci/request/outbound.ts'
import { checkTarget, redirectTarget } from '../../../../src/oci/request/redirect.ts'

const facts = (url: string): CallFacts => ({
  op: 'pull',
  registry: 'r',
  method: 'GET',
  url: new URL(url),
  mask: NO_SECRETS,
})

const CASES: ReadonlyArray<[name: string, base: string, target: string, allowed: boolean]> = [
  ['public to public', 'https://registry.example', 'https://storage.example/x', true],
  ['https to http', 'https://registry.example', 'http://registry.example/x', false],
  ['http to https', 'http://registry.example', 'https://storage.example/x', true],
  ['http to http', 'http://registry.example', 'http://storage.example/x', true],
  ['public to a private address', 'https://registry.example', 'https://10.0.0.1/x', false],
  ['public to this host', 'https://registry.example', 'https://127.0.0.1/x', false],
  ['public to localhost', 'https://registry.example', 'https://localhost/x', false],
  ['public to the cloud metadata service', 'https://registry.example', 'https://169.254.169.254/latest', false],
  ['public to an address in disguise', 'https://registry.example', 'https://0x7f.1/x', false],
  ['public to an IPv4 address within IPv6', 'https://registry.example', 'https://[::ffff:a00:1]/x', false],
  ['private to private', 'http://10.0.0.1:5000', 'http://10.0.0.2/x', true],
  ['private to this host', 'http://10.0.0.1:5000', 'http://127.0.0.1/x', false],
  ['loopback to loopback', 'http://localhost:5000', 'http://127.0.0.1:5001/x', true],
  ['loopback to public', 'http://localhost:5000', 'https://storage.example/x', true],
  ['the same private host on another port', 'https://10.0.0.1', 'https://10.0.0.1:8443/x', true],
  ['another scheme', 'https://registry.example', 'file:///etc/passwd', false],
]

/** What is no secret: both addresses are public, and the registry's operator has to know. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  'https to http': /over https but refers to http:\/\/registry\.example\/x .*in clear/,
}

for (const [name, base, target, allowed] of CASES) {
  test(`${name} is ${allowed ? 'allowed' : 'refused'}`, () => {
    const [from, to] = [new URL(base), new URL(target)]
    const reach = new Outbound(ANYWHERE).named('r', from, to)
    const check = () => checkTarget(facts(`${base}/v2/`), to, from, reach)
    if (allowed) check()
    else assert.throws(check, { code: 'REGISTRY_NOT_ALLOWED', message: REFUSED[name] ?? /may not be contacted/ })
  })
}

test('a redirect may not leave https on a later hop either', () => {
  const answer = { status: 307, location: 'http://storage.example/x' }
  assert.throws(() => redirectTarget(facts('https://storage.example/a'), answer), {
    code: 'REGISTRY_NOT_ALLOWED',
  })
})

test('a Location may be relative', () => {
  const answer = { status: 302, location: '../other?x=1' }
  const target = redirectTarget(facts('https://registry.example/v2/a/b'), answer)
  assert.equal(target?.href, 'https://registry.example/v2/other?x=1')
})

for (const location of [undefined, 'http://[', 'https://']) {
  test(`a redirect to ${location} breaks the protocol`, () => {
    assert.throws(() => redirectTarget(facts('https://registry.example/v2/a'), { status: 301, location }), {
      code: 'REGISTRY_PROTOCOL_VIOLATION',
    })
  })
}

for (const status of [200, 206, 300, 304, 404]) {
  test(`${status} is no redirect`, () => {
    const answer = { status, location: 'https://elsewhere.example' }
    assert.equal(redirectTarget(facts('https://r.example/'), answer), undefined)
  })
}
