import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beyondBounds } from '../../../../src/lib/loop/json-bounds.ts'

const BOUNDS = { values: 10_000, keys: 100, depth: 8 }
const list = (count: number, item: (at: number) => unknown) => Array.from({ length: count }, (_, at) => item(at))
const judge = (value: unknown) => beyondBounds(Buffer.from(JSON.stringify(value)), BOUNDS)
const long = 'x'.repeat(20_000)

test('JSON within the bounds passes, whatever its texts hold', () => {
  assert.equal(judge(list(9000, () => 1)), undefined)
  assert.equal(judge(list(2000, (at) => ({ same: at, 'other\\"': '' }))), undefined)
  assert.equal(judge([`"${'[{,:'.repeat(20_000)}\\`, '\\"[,'.repeat(20_000)]), undefined)
  assert.equal(judge([[[[[[[long]]]]]]]), undefined)
  assert.equal(judge(list(5000, (at) => `value ${at}`)), undefined)
})

test('more values, keys or levels are told', () => {
  assert.equal(judge(list(10_001, () => 1)), 'holds more than 10000 values')
  assert.equal(judge(list(5001, () => [1, 2])), 'holds more than 10000 values')
  assert.equal(
    judge([Object.fromEntries(list(5000, (at) => [`key ${at}`, 1]) as [string, number][])]),
    'holds more than 100 different keys',
  )
  assert.equal(judge(list(5000, (at) => ({ [`key ${at}`]: 1 }))), 'holds more than 100 different keys')
  assert.equal(judge([[[[[[[[[long]]]]]]]]]), 'nests more than 8 deep')
  const spaced = list(5000, (at) => `{"key ${at}" \t\r\n: 1}`).join(' , ')
  assert.equal(beyondBounds(Buffer.from(`[${spaced}]`), BOUNDS), 'holds more than 100 different keys')
})

test('what is no JSON, or ends early, is left to the parser', () => {
  for (const text of [`"${long}`, `${long}]]]]`, `"${long}\\`, `{${long}`, ']'.repeat(20_000), '']) {
    assert.equal(beyondBounds(Buffer.from(text), BOUNDS), undefined, text.slice(-5))
  }
})

test('what is short is left to the parser too', () => {
  assert.equal(judge(list(2000, (at) => ({ [at]: [[[[[[[[[]]]]]]]]] })).slice(0, 500)), undefined)
})
