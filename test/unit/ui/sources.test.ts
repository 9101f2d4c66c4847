import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ui = fileURLToPath(new URL('../../../src/ui', import.meta.url))

/** What no component may have, and why. */
const REFUSED: ReadonlyArray<[what: RegExp, why: string]> = [
  [/\{@html\b/, 'what packages and registries say is text, never HTML'],
  [/<[a-z][^>]*\sstyle="/i, 'the content security policy lets no style attribute pass; style:NAME sets it by script'],
  [
    /(?:\b(?:src|href|action)\s*=\s*["'{`]*|url\(\s*["']?|@import\s+["'(]*)(?:https?:)?\/\//i,
    'nothing comes from elsewhere: there are networks without one',
  ],
]

test('components show text as text, and load nothing from elsewhere', async () => {
  const paths = globSync('**/*.{svelte,html,css}', { cwd: ui, exclude: ['node_modules'] })
  assert.ok(paths.length > 20)
  for (const path of paths) {
    const text = await readFile(join(ui, path), 'utf8')
    for (const [what, why] of REFUSED) assert.doesNotMatch(text, what, `${path}: ${why}`)
  }
})

test('each of these is found where it is', () => {
  const bad = ['<p>{@html text}</p>', '<div class="a" style="color: red">', '<img src="https://example.org/a.png" />']
  for (const [index, text] of bad.entries()) assert.match(text, REFUSED[index]?.[0] ?? /^$/)
})
