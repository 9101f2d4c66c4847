import assert from 'node:assert/strict'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runProcess } from '../helpers/processes/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Lints `files` (path under the root, text) in a folder with the project's own rules; "path: complaint" lines. */
async function lint(t: TestContext, files: Record<string, string>): Promise<string[]> {
  const copy = await tempDir(t)
  await cp(join(root, '.oxlintrc.json'), join(copy, '.oxlintrc.json'))
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(copy, path)), { recursive: true })
    await writeFile(join(copy, path), text)
  }
  const { stdout } = await runProcess(t, join(root, 'node_modules/.bin/oxlint'), ['-f', 'unix', 'src'], { cwd: copy })
  return stdout.split('\n').filter((line) => line.startsWith('src/'))
}

test('the environment is read in main.ts alone, and a circle of imports is refused', async (t) => {
  const complaints = await lint(t, {
    'src/main.ts': 'void process.env\nprocess.exitCode = 1\n',
    'src/oci/a.ts': "import { b } from './b.ts'\nexport const a = b\nvoid process.env\nprocess.exit(1)\n",
    'src/oci/b.ts': "import { a } from './a.ts'\nexport const b = a\n",
  })
  assert.equal(complaints.filter((line) => line.startsWith('src/main.ts')).length, 0)
  for (const rule of ["'process.env'", "'process.exit'", 'no-cycle']) {
    assert.ok(
      complaints.some((line) => line.startsWith('src/oci/a.ts') && line.includes(rule)),
      `${rule} is refused`,
    )
  }
})

test('no file of src switches a lint rule off for a whole file', async () => {
  for (const path of globSync('src/**/*.{ts,mjs}', { cwd: root })) {
    const text = await readFile(join(root, path), 'utf8')
    assert.doesNotMatch(text, /(?:eslint|oxlint)-disable(?!-next-line|-line)/, path)
  }
})
