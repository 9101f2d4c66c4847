import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../../helpers/processes/processes.ts'
import { tempDir } from '../../helpers/temp-dir.ts'

const runner = fileURLToPath(new URL('../../run.ts', import.meta.url))

async function runFiles(t: TestContext, files: Record<string, string>) {
  const folder = await tempDir(t)
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, name), `import { test } from 'node:test'\n${text}`)
  }
  // NODE_TEST_CONTEXT marks a child of a runner; inherited, the runner under test would take itself for one
  const env = { NODE_TEST_CONTEXT: undefined, LAYERD_TEST_FILE_MS: '3000' }
  const { code, stdout } = await runProcess(t, process.execPath, [runner, folder], { env })
  return { code, stdout, lastLine: stdout.trimEnd().split('\n').at(-1) }
}

test('a run where all passes ends with the counts and exit code 0', async (t) => {
  const { code, lastLine } = await runFiles(t, {
    'a.test.ts': "test('one', () => {}); test('two', async (t) => { await t.test('three', () => {}) })",
    'b.test.ts': "test('four', () => {})",
  })
  assert.equal(lastLine, '4 passed, 0 failed')
  assert.equal(code, 0)
})

test('failures, crashed files, files without a test and files that never end are counted and shown', async (t) => {
  const { code, stdout, lastLine } = await runFiles(t, {
    'fails.test.ts': "test('fine', () => {}); test('broken', () => { throw new Error('the reason') })",
    'crashes.test.ts': "throw new Error('thrown at load')",
    'empty.test.ts': '',
    'hangs.test.ts': "test('fine too', () => {}); setInterval(() => {}, 1000)",
    'skips.test.ts': "test('left out', { skip: 'no zarf here' }, () => {})",
  })
  assert.equal(lastLine, '2 passed, 4 failed, 1 skipped')
  assert.equal(code, 1)
  for (const shown of ['the reason', 'thrown at load', 'has no test', 'has not ended after 3000 ms', 'no zarf here']) {
    assert.ok(stdout.includes(shown), `it shows: ${shown}`)
  }
})

test('tests of a suite that stands in another file count for the file that runs them', async (t) => {
  const { stdout } = await runFiles(t, {
    'suite.ts': 'export const suite = (name: string) => test(name, () => {})',
    'uses.test.ts': "import { suite } from './suite.ts'; suite('one'); suite('two')",
  })
  assert.match(stdout, /^ok .*uses\.test\.ts \(2 tests/m)
  assert.doesNotMatch(stdout, /suite\.ts/)
})

test('a run of nothing is a failure', async (t) => {
  const { code, lastLine } = await runFiles(t, {})
  assert.equal(lastLine, '0 passed, 0 failed')
  assert.equal(code, 1)
})
