import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pingText } from '../../../src/cli/view/ping-text.ts'

test('a check is told on 80 columns, and what goes on stands below its text', () => {
  const detail = 'a word and another word and another word and another word and another word and a last one'
  const text = pingText(
    {
      host: 'a.example',
      ok: false,
      scheme: null,
      profile: 'unknown',
      checks: [{ name: 'route', state: 'failed', detail, hint: detail }],
    },
    80,
  )
  const lines = text.trimEnd().split('\n')
  assert.equal(lines.length, 5)
  for (const line of lines) assert.ok(line.length <= 80, line)
  for (const line of lines.slice(1, 4)) assert.match(line, /^ {19}\S/)
})
