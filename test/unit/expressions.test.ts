import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseSync, Visitor } from 'oxc-parser'
import { check } from 'recheck'

/**
 * Texts from outside pass through most expressions of src, so each has to take linear time, whatever the text: shown by
 * an automaton of the whole expression, not by trying texts.
 */
const root = fileURLToPath(new URL('../../', import.meta.url))

interface Expression {
  readonly at: string
  readonly source: string
  readonly flags: string
}

/** Every expression in a program's text, and where one is made from a string, which nobody can check. */
function expressionsOf(path: string, text: string): { literals: Expression[]; made: string[] } {
  const literals: Expression[] = []
  const made: string[] = []
  const isMade = ({ type, ...callee }: { type: string }) =>
    type === 'Identifier' && 'name' in callee && callee.name === 'RegExp'
  const place = (offset: number) => `${path}:${text.slice(0, offset).split('\n').length}`
  new Visitor({
    Literal(node) {
      if (!('regex' in node)) return
      literals.push({ at: place(node.start), source: node.regex.pattern, flags: node.regex.flags })
    },
    NewExpression(node) {
      if (isMade(node.callee)) made.push(place(node.start))
    },
    CallExpression(node) {
      if (isMade(node.callee)) made.push(place(node.start))
    },
  }).visit(parseSync(path, text).program)
  return { literals, made }
}

async function problemOf({ at, source, flags }: Expression): Promise<string | undefined> {
  const verdict = await check(source, flags, { checker: 'automaton', timeout: null })
  if (verdict.status === 'safe') return undefined
  const why = verdict.status === 'vulnerable' ? verdict.complexity.summary : verdict.error.kind
  return `${at} /${source}/${flags}: ${why}`
}

test('the check itself finds what is quadratic, what it cannot judge, and what is made from a string', async () => {
  const text = 'const a = /a+$/g\nconst b = /(?<=a)b+$/\nconst c = /^a+$/\nnew RegExp("a")\nRegExp("b")\n'
  const { literals, made } = expressionsOf('probe.ts', text)
  const problems = await Promise.all(literals.map(problemOf))
  assert.match(problems[0] ?? '', /^probe\.ts:1 .*polynomial/)
  assert.match(problems[1] ?? '', /^probe\.ts:2 .*unsupported/)
  assert.equal(problems[2], undefined)
  assert.deepEqual(made, ['probe.ts:4', 'probe.ts:5'])
})

test('each expression of src takes linear time', async () => {
  const found = globSync('src/**/*.{ts,mjs}', { cwd: root }).map((path) =>
    expressionsOf(path, readFileSync(join(root, path), 'utf8')),
  )
  const literals = found.flatMap((each) => each.literals)
  assert.ok(literals.length > 100, 'expressions were found')
  const problems: string[] = []
  for (const literal of literals) {
    const problem = await problemOf(literal)
    if (problem !== undefined) problems.push(problem)
  }
  assert.deepEqual(problems, [])
  assert.deepEqual(
    found.flatMap((each) => each.made),
    [],
  )
})
