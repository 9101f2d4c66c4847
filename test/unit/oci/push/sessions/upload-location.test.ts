import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { digestOf } from '../../../../../src/content/digest.ts'
import { bytesFromRange, resolveLocation, withDigest } from '../../../../../src/oci/push/sessions/upload-location.ts'

describe('location', () => {
  const cases: Array<[name: string, location: string, from: string, expected: string]> = [
    [
      'relative',
      '/v2/r/blobs/uploads/1',
      'https://reg.test/v2/r/blobs/uploads/',
      'https://reg.test/v2/r/blobs/uploads/1',
    ],
    ['absolute', 'https://reg.test/u/1', 'https://reg.test/v2/', 'https://reg.test/u/1'],
    [
      'query stays as it is',
      '/u/1?_state=a%2Bb+c=&x',
      'https://reg.test/v2/',
      'https://reg.test/u/1?_state=a%2Bb+c=&x',
    ],
    ['port lost', 'http://reg.test/u/1', 'http://reg.test:5000/v2/', 'http://reg.test:5000/u/1'],
    ['scheme lost behind a TLS proxy', 'http://reg.test/u/1', 'https://reg.test/v2/', 'https://reg.test/u/1'],
    ['scheme and port lost', 'http://reg.test/u/1', 'https://reg.test:8443/v2/', 'https://reg.test:8443/u/1'],
    ['scheme lost, port kept', 'http://reg.test:8443/u/1', 'https://reg.test:8443/v2/', 'https://reg.test:8443/u/1'],
    ['https default port spelled out', 'https://reg.test:443/u/1', 'https://reg.test/v2/', 'https://reg.test/u/1'],
    ['another host stays', 'https://storage.test/u/1', 'https://reg.test:8443/v2/', 'https://storage.test/u/1'],
    ['another port of the host stays', 'http://reg.test:6000/u', 'http://reg.test:5000/v2/', 'http://reg.test:6000/u'],
  ]
  for (const [name, location, from, expected] of cases) {
    test(name, () => assert.equal(resolveLocation(location, new URL(from)).href, expected))
  }

  test('refuses what is no web address', () => {
    for (const location of ['file:///etc/passwd', 'http://[', 'javascript:1']) {
      assert.throws(() => resolveLocation(location, new URL('https://reg.test/')), {
        code: 'REGISTRY_PROTOCOL_VIOLATION',
      })
    }
  })
})

test('the digest is appended to whatever the Location holds', () => {
  const digest = digestOf('x')
  const encoded = encodeURIComponent(digest)
  assert.equal(withDigest(new URL('http://r.test/u'), digest).href, `http://r.test/u?digest=${encoded}`)
  assert.equal(withDigest(new URL('http://r.test/u?s=a%2Fb'), digest).href, `http://r.test/u?s=a%2Fb&digest=${encoded}`)
})

test('a Range of an upload is read in all forms that registries send', () => {
  assert.equal(bytesFromRange('0-99'), 100)
  assert.equal(bytesFromRange('bytes=0-99'), 100)
  assert.equal(bytesFromRange('0-0'), 1)
  assert.equal(bytesFromRange('0--1'), 0)
  assert.equal(bytesFromRange('50-99'), 100)
  for (const nothing of [undefined, '', 'none', 'bytes 0-9/10']) assert.equal(bytesFromRange(nothing), undefined)
})
