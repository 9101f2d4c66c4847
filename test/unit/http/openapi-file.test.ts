import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { OPENAPI_FILE, renderOpenapi } from '../../../src/http/openapi-file.ts'

test('openapi.yaml is what the schemas say; `npm run openapi` writes it anew', async () => {
  const kept = (await readFile(OPENAPI_FILE, 'utf8')).split('\n')
  const rendered = (await renderOpenapi()).split('\n')
  const at = rendered.findIndex((line, index) => line !== kept[index])
  // One line, since a comparison of both texts would fill the screen.
  assert.deepEqual({ line: at + 1, kept: kept[at] }, { line: at + 1, kept: rendered[at] })
  assert.equal(kept.length, rendered.length)
})

test('every operation has a name of its own and answers with a problem where it fails', async () => {
  const text = await renderOpenapi()
  const names = [...text.matchAll(/operationId: (\w+)/g)].map(([, name]) => name)
  assert.ok(names.length > 0)
  assert.equal(new Set(names).size, names.length)
  assert.equal([...text.matchAll(/default:\n\s+\$ref: "#\/components\/responses\/Problem"/g)].length, names.length)
})
