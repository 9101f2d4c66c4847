import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTraceparent } from '../../../../src/http/requests/trace-context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'

test('a valid traceparent is kept, any other passed over', () => {
  const valid = [`00-${TRACE}-b7ad6b7169203331-01`, `cc-${TRACE}-b7ad6b7169203331-01-what-comes-later`]
  for (const header of valid) assert.equal(readTraceparent(header), header)
  for (const header of [
    undefined,
    '',
    ['a', 'b'],
    `ff-${TRACE}-b7ad6b7169203331-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-b7ad6b7169203331-01`,
    `00-${TRACE}-b7ad6b7169203331`,
    `00-${TRACE}-b7ad6b7169203331-01\r\nx: y`,
  ]) {
    assert.equal(readTraceparent(header), undefined, String(header))
  }
})
