import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { judge } from '../structure/imports.ts'
import { type Room, ROOMS } from '../structure/table.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

const TABLE: Record<string, Room> = {
  low: {},
  mid: { faces: ['face.ts', 'wing'], imports: ['low', 'mid/wing'], packages: ['undici'] },
  'mid/wing': {},
  top: { imports: ['mid', 'low/a.ts'], types: ['low'], packages: ['node:process', '@scope/name'] },
}

const GOOD: Record<string, string> = {
  'low/a.ts': 'export const a = 1\n',
  'low/b.ts': "import { a } from './a.ts'\nexport const b = a\nexport interface B {}\n",
  'mid/face.ts':
    "import { request } from 'undici'\nimport { w } from './wing/w.ts'\nexport const face = [request, w]\n",
  'mid/inner.ts': "export { face } from './face.ts'\n",
  'mid/wing/w.ts':
    "import { b } from '../../low/b.ts'\nimport { readFile } from 'node:fs/promises'\nexport const w = [b, readFile]\n",
  'top/t.ts':
    "import process from 'node:process'\nimport x from '@scope/name/deep'\nimport { face } from '../mid/face.ts'\nimport { w } from '../mid/wing/w.ts'\nimport { a } from '../low/a.ts'\nimport type { B } from '../low/b.ts'\nvoid [process, x, face, w, a]\nexport type { B }\n",
}

async function judged(t: TestContext, files: Record<string, string>): Promise<string[]> {
  const src = await tempDir(t)
  for (const [path, text] of Object.entries({ ...GOOD, ...files })) {
    await mkdir(dirname(join(src, path)), { recursive: true })
    await writeFile(join(src, path), text)
  }
  return judge(src, TABLE)
}

test('src keeps to the table of who may import whom', () => {
  assert.deepEqual(judge(join(root, 'src'), ROOMS), [])
})

test('what the table allows is not complained of', async (t) => {
  assert.deepEqual(await judged(t, {}), [])
})

const BAD: ReadonlyArray<[what: string, path: string, text: string, complaint: RegExp]> = [
  [
    'a house above',
    'low/bad.ts',
    "import { face } from '../mid/face.ts'\n",
    /src\/low\/bad\.ts may not import mid\/face\.ts/,
  ],
  ['no face', 'top/bad.ts', "import { i } from '../mid/inner.ts'\n", /may not import mid\/inner\.ts/],
  ['a wing the way up', 'mid/wing/bad.ts', "import { face } from '../face.ts'\n", /may not import mid\/face\.ts/],
  [
    'values where types are allowed',
    'top/bad.ts',
    "import { b } from '../low/b.ts'\n",
    /may not import low\/b\.ts \(values\)/,
  ],
  ['values by the way of an export', 'top/bad.ts', "export { b } from '../low/b.ts'\n", /may not import low\/b\.ts/],
  ['everything by an export', 'low/bad.ts', "export * from '../mid/face.ts'\n", /may not import mid\/face\.ts/],
  ['a late import', 'low/bad.ts', "await import('../mid/face.ts')\n", /may not import mid\/face\.ts/],
  ['an import for its effects', 'low/bad.ts', "import '../mid/face.ts'\n", /may not import mid\/face\.ts/],
  ['a package', 'low/bad.ts', "import { request } from 'undici'\n", /may not import undici/],
  ['another package of the same scope', 'top/bad.ts', "import x from '@scope/other'\n", /may not import @scope\/other/],
  ['node:process', 'mid/bad.ts', "import process from 'node:process'\n", /may not import node:process/],
  [
    'a folder of the same name elsewhere',
    'low/bad.ts',
    "import { x } from '../top/low/a.ts'\n",
    /may not import top\/low\/a\.ts/,
  ],
  ['a folder without a row', 'low/deeper/bad.ts', '', /src\/low\/deeper has no row/],
]

for (const [what, path, text, complaint] of BAD) {
  test(`${what} is refused`, async (t) => {
    const problems = await judged(t, { [path]: text })
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0] ?? '', complaint)
  })
}

test('a circle of wings is refused', async (t) => {
  const src = await tempDir(t)
  const table = { a: { imports: ['b'] }, b: { imports: ['c'] }, c: { types: ['a'] }, d: { imports: ['a'] } }
  for (const name of Object.keys(table)) {
    await mkdir(join(src, name))
    await writeFile(join(src, name, 'f.ts'), '')
  }
  assert.deepEqual(
    judge(src, table),
    ['a', 'b', 'c'].map((name) => `the table lets src/${name} import itself by way of others`),
  )
})

test('a drawer is refused, and a row without a folder', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`low/f${at}.ts`, '']))
  assert.match((await judged(t, many)).join('\n'), /src\/low holds 102 files/)
  const src = await tempDir(t)
  assert.deepEqual(judge(src, { gone: {} }), ['the table has a row for src/gone, which is not there'])
})

test('the map tells every house and every wing', async () => {
  const map = await readFile(join(root, 'docs/architecture.md'), 'utf8')
  for (const room of Object.keys(ROOMS)) {
    assert.ok(map.includes(`| \`src/${room}\` |`), `docs/architecture.md tells src/${room}`)
  }
})
