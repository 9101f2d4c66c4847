import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lifetimeMs } from '../../../../src/oci/auth/token.ts'

const now = Date.parse('2026-03-01T12:00:00Z')
const seconds = now / 1000
const jwt = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.x`

const CASES: ReadonlyArray<[name: string, expiresIn: unknown, token: string, expectedMs: number]> = [
  ['what is said', 300, 'opaque', 300_000],
  ['what is said as text', '300', 'opaque', 300_000],
  ['what is said before what the token says', 10, jwt({ exp: seconds + 900 }), 10_000],
  ['a minute when nothing is said', undefined, 'opaque', 60_000],
  ['a minute for nonsense', -1, 'opaque', 60_000],
  ['the span of a JWT, whatever the clocks', undefined, jwt({ iat: 1000, exp: 1900 }), 900_000],
  ['the end of a JWT', undefined, jwt({ exp: seconds + 900 }), 900_000],
  ['a minute for a JWT that is over', undefined, jwt({ exp: seconds - 900 }), 60_000],
  ['a minute for a JWT that is none', undefined, 'a.b.c', 60_000],
]

for (const [name, expiresIn, token, expectedMs] of CASES) {
  test(`a token lives ${name}`, () => assert.equal(lifetimeMs(expiresIn, token, now), expectedMs))
}
