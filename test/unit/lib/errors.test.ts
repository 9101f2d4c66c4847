import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../../src/lib/errors.ts'

test("an error's message shows what others wrote into it", () => {
  const error = new AppError('PACKAGE_INVALID', 'the name "a\u001b[2J\u202eb\nc\u009b" is none')
  assert.equal(error.message, 'the name "a\\u001b[2J\\u202eb\\u000ac\\u009b" is none')
})
