import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Environment } from '../../src/config/config.ts'
import { ERROR_CODES } from '../../src/lib/errors.ts'

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')

test('docs/errors.md explains each error code, and no other', async () => {
  const sections = (await read('docs/errors.md')).split(/^## /m).slice(1)
  const documented = sections.map((section) => section.slice(0, section.indexOf('\n')))
  assert.deepEqual(documented.toSorted(), Object.keys(ERROR_CODES).toSorted())
  for (const section of sections) {
    const [heading = '', ...text] = section.split('\n')
    assert.ok(text.join(' ').trim().length > 60, `${heading} says what it means and what to do`)
  }
})

test('README and docs/operations.md list each setting, and no other', async () => {
  for (const path of ['README.md', 'docs/operations.md']) {
    const rows = (await read(path)).split('\n').filter((line) => line.startsWith('| `LAYERD_'))
    const listed = rows.flatMap((row) =>
      [...(row.split('|')[1] ?? '').matchAll(/`(LAYERD_[A-Z_]+)`/g)].map(([, name = '']) => name),
    )
    assert.deepEqual(listed.toSorted(), Object.keys(Environment.properties).toSorted(), path)
  }
})

for (const [path, least] of [
  ['docs/reliability.md', 30],
  ['docs/features.md', 60],
  ['README.md', 25],
] as const) {
  test(`${path} names tests that are there`, async () => {
    const named = [...(await read(path)).matchAll(/`([a-z0-9-]+(?:\/[a-z0-9-]+)+\.test\.ts)`/g)]
    assert.ok(named.length > least)
    for (const [, name = ''] of named) assert.ok(existsSync(new URL(`../${name}`, import.meta.url)), name)
  })
}
