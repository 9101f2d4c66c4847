import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type ErrorBody, parseErrorBody } from '../../../../src/oci/errors/error-body.ts'
import { createMask } from '../../../../src/oci/errors/mask.ts'

const CASES: ReadonlyArray<[name: string, text: string, type: string | undefined, expected: ErrorBody]> = [
  ['errors.empty-head: nothing, as to HEAD', '', undefined, { html: false }],
  [
    'OCI',
    '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied","detail":[{"Action":"push"}]}]}',
    'application/json',
    { code: 'DENIED', message: 'requested access to the resource is denied', html: false },
  ],
  [
    'OCI under a wrong content type, with two errors',
    '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"a"},{"code":"MANIFEST_INVALID","message":"b"}]}\n',
    'text/plain',
    { code: 'MANIFEST_BLOB_UNKNOWN', message: 'a; b', html: false },
  ],
  [
    'errors.jfrog',
    '{"errors":[{"status":416,"message":"Range"}]}',
    'application/json',
    { message: 'Range', html: false },
  ],
  [
    'OAuth2',
    '{"error":"invalid_grant","error_description":"expired"}',
    'application/json',
    { code: 'invalid_grant', message: 'expired', html: false },
  ],
  [
    'Docker Hub: details alone',
    '{"details":"incorrect username or password"}',
    'application/json',
    { message: 'incorrect username or password', html: false },
  ],
  ['text', '404 page not found\n', 'text/plain', { message: '404 page not found', html: false }],
  [
    'errors.html: a proxy',
    '<html>\r\n<head><title>413 Request Entity Too Large</title></head><body><h1>413</h1></body></html>',
    'text/html',
    { message: '413 Request Entity Too Large', html: true },
  ],
  [
    'a web page without a title',
    '<!DOCTYPE html><style>a{}</style><script>x()</script><p>Log <b>in</b></p>',
    undefined,
    { message: 'Log in', html: true },
  ],
  ['broken JSON', '{"errors":[', 'application/json', { message: '{"errors":[', html: false }],
  ['JSON of another shape', '{"errors":["no"],"code":7}', 'application/json', { html: false }],
  ['a JSON array', '[1]', 'application/json', { message: '[1]', html: false }],
  [
    'a code that is none',
    '{"errors":[{"code":"\\u001b]0;owned\\u0007","message":"no\\u202egnp.exe\\u009b2J"}]}',
    'application/json',
    { message: 'no gnp.exe 2J', html: false },
  ],
  [
    'a sentence for a code',
    '{"error":"unauthorized: authentication required"}',
    'application/json',
    { message: 'unauthorized: authentication required', html: false },
  ],
  ['a code alone', '{"error":"invalid_scope"}', 'application/json', { code: 'invalid_scope', html: false }],
  [
    'a presigned address',
    '{"errors":[{"code":"UNKNOWN","message":"GET https://storage.example/b?X-Signature=secret failed"}]}',
    'application/json',
    { code: 'UNKNOWN', message: 'GET https://storage.example/b?… failed', html: false },
  ],
  [
    'addresses in a text, each without its query',
    'see http://a.example/?x=1 and https://b.example/c?y=2>, not https://d.example/',
    'text/plain',
    { message: 'see http://a.example/?… and https://b.example/c?…>, not https://d.example/', html: false },
  ],
  [
    'a title in capitals, with attributes',
    '<HTML><TITLE lang="en">Bad gateway</TITLE></HTML>',
    undefined,
    { message: 'Bad gateway', html: true },
  ],
  [
    'a web page whose text stands between tags, scripts never closed',
    '<html><h1>502</h1><p>Bad <b>gateway</b></p><script>x(',
    undefined,
    { message: '502 Bad gateway', html: true },
  ],
  ['nothing but the start of a tag', '<html', 'text/html', { html: true }],
  ['control characters', 'a\u001b[31mred\u0000', 'text/plain', { message: 'a [31mred', html: false }],
]

for (const [name, text, type, expected] of CASES) {
  test(`error body: ${name}`, () => assert.deepEqual(parseErrorBody(text, type), expected))
}

test('error body: no input throws, no message is long', () => {
  const json = fc.json().map((text) => `{"errors":${text}}`)
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ maxLength: 2000 }), json),
      fc.option(fc.string(), { nil: undefined }),
      (text, type) => {
        assert.ok((parseErrorBody(text, type).message ?? '').length <= 500)
      },
    ),
  )
})

test('users, queries and fragments of addresses are not told', () => {
  const { message } = parseErrorBody(
    'Get "https://bob:pw@s.example/x?sig=1#y": no; http://s.example#z, https://a@b',
    undefined,
  )
  assert.equal(message, 'Get "https://s.example/x?…": no; http://s.example#… https://b')
})

test('the beginning of a secret that the cut has halved is not told', () => {
  const mask = createMask()
  mask.keep('hunter22')
  for (let before = 4080; before <= 4100; before += 1) {
    const text = `${'https://s.example/?x='.padEnd(before - 1, 'x')} hunter22 and more`
    const { message = '' } = parseErrorBody(text, undefined, (told) => mask.hide(told))
    assert.doesNotMatch(message, /hun/, String(before))
  }
})
