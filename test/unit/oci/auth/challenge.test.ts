import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseChallenges } from '../../../../src/oci/auth/challenge.ts'

const read = (header: string | undefined) =>
  parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)])

const CASES: ReadonlyArray<[name: string, header: string | undefined, expected: ReturnType<typeof read>]> = [
  ['no header', undefined, []],
  ['an empty value, as Harbor sends for an unknown project', '', []],
  [
    'Docker Hub',
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    [
      [
        'bearer',
        { realm: 'https://auth.docker.io/token', service: 'registry.docker.io', scope: 'repository:a/b:pull,push' },
      ],
    ],
  ],
  [
    'a scheme in capitals, as Nexus sends it',
    'BASIC realm="Sonatype Nexus Repository Manager"',
    [['basic', { realm: 'Sonatype Nexus Repository Manager' }]],
  ],
  [
    'ECR: a URL as realm does not make it Bearer',
    'Basic realm="https://1.dkr.ecr.x.amazonaws.com/",service="ecr.amazonaws.com"',
    [['basic', { realm: 'https://1.dkr.ecr.x.amazonaws.com/', service: 'ecr.amazonaws.com' }]],
  ],
  [
    'two headers joined by a comma, as Gitea sends them',
    'Bearer realm="http://git/v2/token",service="container_registry",scope="*", Basic realm="git"',
    [
      ['bearer', { realm: 'http://git/v2/token', service: 'container_registry', scope: '*' }],
      ['basic', { realm: 'git' }],
    ],
  ],
  [
    'token68 and a scheme alone before one with parameters',
    'Negotiate, NTLM TlRMTVNTUAA=, Basic realm=plain',
    [
      ['negotiate', {}],
      ['ntlm', {}],
      ['basic', { realm: 'plain' }],
    ],
  ],
  [
    'escapes, commas and = in a quoted string',
    'Bearer realm="a\\"b, Basic c=\\\\"',
    [['bearer', { realm: 'a"b, Basic c=\\' }]],
  ],
  [
    'blanks around =, names in capitals',
    'Bearer  Realm = "x" ,, SERVICE="y"',
    [['bearer', { realm: 'x', service: 'y' }]],
  ],
  [
    'a URL without quotes',
    'Bearer realm=https://host/token,service=s',
    [['bearer', { realm: 'https://host/token', service: 's' }]],
  ],
  [
    'an unclosed quote takes the rest',
    'Bearer realm="https://host/token',
    [['bearer', { realm: 'https://host/token' }]],
  ],
  ['the first of two equal names', 'Bearer realm="a",realm="b"', [['bearer', { realm: 'a' }]]],
  [
    'a name that is a property of every object',
    'Bearer __proto__="a",realm="b"',
    [
      [
        'bearer',
        Object.fromEntries([
          ['__proto__', 'a'],
          ['realm', 'b'],
        ]),
      ],
    ],
  ],
]

for (const [name, header, expected] of CASES) {
  test(`challenges: ${name}`, () => assert.deepEqual(read(header), expected))
}

test('challenges: whatever is written by the rules is read back', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,11}$/)
  const value = fc.string({ unit: fc.constantFrom('a', ' ', ',', '=', '"', '\\', ':', 'ä', '\t') })
  const params = fc.dictionary(word, value, { minKeys: 1, maxKeys: 4 })
  fc.assert(
    fc.property(fc.array(fc.tuple(word, params), { maxLength: 4 }), (challenges) => {
      const quote = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`
      const header = challenges.map(([scheme, pairs]) => {
        const list = Object.entries(pairs).map(([name, text]) => `${name}=${quote(text)}`)
        return `${scheme} ${list.join(', ')}`
      })
      assert.deepEqual(
        read(header.join(', ')),
        challenges.map(([scheme, pairs]) => [scheme, { ...pairs }]),
      )
    }),
  )
})

test('challenges: no input throws or hangs', () => {
  const piece = fc.constantFrom(
    'Bearer ',
    'Basic',
    ' realm=',
    '"',
    '\\',
    ',',
    '=',
    ' ',
    'x',
    'a=b',
    '\u0000',
    'ü',
    '==',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      for (const { scheme, params } of parseChallenges(pieces.join(''))) {
        assert.notEqual(scheme, '')
        assert.ok(params instanceof Map)
      }
    }),
  )
  assert.ok(parseChallenges(`Bearer ${'a="\\"'.repeat(200_000)}`).length > 0)
})
