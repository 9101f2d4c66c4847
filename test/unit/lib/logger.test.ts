import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import process from 'node:process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { prettyLine } from '../../../src/lib/pretty-log.ts'

const time = '2026-03-01T12:00:00.042Z'
const clock = /^\d\d:\d\d:\d\d\.042 /

test('JSON lines have the level as a word and the time in ISO', async () => {
  const { href } = new URL('../../../src/lib/logger.ts', import.meta.url)
  const script = `import { createLogger } from '${href}'
    createLogger({ level: 'info', name: 'layerd' }).warn({ jobId: 'j', password: 'p' }, 'look')`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  const line = JSON.parse(stdout) as Record<string, unknown>
  assert.deepEqual([line['level'], line['name'], line['msg'], line['jobId']], ['warn', 'layerd', 'look', 'j'])
  assert.equal(new Date(String(line['time'])).toISOString(), line['time'])
})

test('a line for people has clock, level, message and facts, and its error below', () => {
  const err = { type: 'Error', message: 'no', stack: 'Error: no\n    at here' }
  const line = JSON.stringify({
    level: 'error',
    time,
    pid: 1,
    name: 'layerd',
    role: 'api',
    jobId: 'j',
    why: 'a b',
    n: 3,
    err,
    msg: 'it broke',
  })
  const text = prettyLine(line, false)
  assert.match(text, clock)
  assert.equal(text.slice(13), 'ERROR it broke  role=api jobId=j why="a b" n=3\n    Error: no\n        at here\n')
  assert.ok(prettyLine(line, true).includes('\u001b[31mERROR\u001b[0m'))
})

test('what a registry said cannot steer the terminal', () => {
  const line = JSON.stringify({
    level: 'warn',
    time,
    msg: 'said \u001b[2J',
    detail: '\u001b]0;x\u0007',
    err: { message: '\u009b2J' },
  })
  // oxlint-disable-next-line no-control-regex -- that is what is looked for
  assert.doesNotMatch(prettyLine(line, false).replaceAll('\n', ''), /[\u0000-\u001f\u007f-\u009f]/)
})

test('what is no line of the logger goes through as it is', () => {
  assert.equal(prettyLine('(node:1) Warning: x\n', false), '(node:1) Warning: x\n')
})
