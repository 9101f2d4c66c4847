import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redactUrl } from '../../../src/lib/redact.ts'

test('an address that is told has neither user nor password, query nor fragment, whatever its form', () => {
  const secret = 's3cret'
  const cases: Array<[string, string]> = [
    [`redis://user:${secret}@host:6379/0`, 'redis://host:6379/0'],
    [`redis://${secret}@host`, 'redis://host'],
    [`redis:${secret}@host`, 'redis:…'],
    [`rediss:user:${secret}@host:1/0`, 'rediss:…'],
    [`https://h.example/v2/?_state=${secret}#${secret}`, 'https://h.example/v2/?…'],
    [`//${secret}`, '(unparsable URL)'],
  ]
  for (const [url, told] of cases) assert.equal(redactUrl(url), told)
})
