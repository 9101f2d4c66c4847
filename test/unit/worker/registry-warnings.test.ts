import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import { tellWarnings } from '../../../src/worker/registry-warnings.ts'

function told(texts: readonly string[]): string[] {
  const events: EngineEvent[] = []
  const tell = tellWarnings((event) => void events.push(event))
  for (const text of texts) tell('registry.example', text)
  return events.map((event) => {
    assert.ok(event.type === 'warning' && event.code === 'REGISTRY_WARNING')
    return event.message
  })
}

test('what a registry says is told once, and nothing of it is obeyed by a terminal', () => {
  assert.deepEqual(told(['quota at 90 %', 'quota at 90 %', '', ' \u001b[2Jgone\r\n\u202etfel ', 'quota at 90 %']), [
    'registry.example says: quota at 90 %',
    'registry.example says: [2Jgone tfel',
  ])
})

test('all of it together is 4096 bytes at most, in whole characters', () => {
  const all = told(Array.from({ length: 500 }, (_, at) => `${at} ${'ä'.repeat(50)}`))
  assert.equal(all.length, 33)
  const bytes = all.reduce((sum, message) => sum + Buffer.byteLength(message), 0)
  assert.ok(bytes <= 4096 && bytes > 4090, String(bytes))
  assert.ok(!all.some((message) => message.includes('\ufffd')))
  const [long] = told(['ä'.repeat(10_000), 'more'])
  assert.ok(Buffer.byteLength(long ?? '') <= 4096)
})
