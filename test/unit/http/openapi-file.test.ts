import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { load } from 'js-yaml'
import { OPENAPI_FILE, renderOpenapi } from '../../../src/http/openapi-file.ts'

test('openapi.yaml is what the schemas say; `npm run openapi` writes it anew', async () => {
  const kept = (await readFile(OPENAPI_FILE, 'utf8')).split('\n')
  const rendered = (await renderOpenapi()).split('\n')
  const at = rendered.findIndex((line, index) => line !== kept[index])
  // One line, since a comparison of both texts would fill the screen.
  assert.deepEqual({ line: at + 1, kept: kept[at] }, { line: at + 1, kept: rendered[at] })
  assert.equal(kept.length, rendered.length)
})

interface Media {
  schema?: { $ref?: string }
  example?: unknown
}
interface Operation {
  operationId: string
  parameters?: Array<{ name: string; in: string }>
  requestBody?: { content: Record<string, Media> }
  responses: Record<
    string,
    { $ref?: string; content?: Record<string, Media>; links?: Record<string, { operationId: string }> }
  >
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, { oneOf?: Array<{ $ref: string }>; discriminator?: { mapping: object } }> }
}

async function documented() {
  const document = load(await renderOpenapi()) as Document
  return { document, operations: Object.values(document.paths).flatMap((methods) => Object.values(methods)) }
}

test('every operation has a name of its own, answers with a problem where it fails, and links lead somewhere', async () => {
  const { operations } = await documented()
  const names = operations.map(({ operationId }) => operationId)
  assert.ok(names.length > 20)
  assert.equal(new Set(names).size, names.length)
  for (const { operationId, responses } of operations) {
    assert.deepEqual(responses['default'], { $ref: '#/components/responses/Problem' }, operationId)
    const links = Object.values(responses).flatMap(({ links: all }) => Object.values(all ?? {}))
    for (const link of links) assert.ok(names.includes(link.operationId), link.operationId)
  }
})

test('no two parameters of an operation would have one name in a generated client', async () => {
  for (const { operationId, parameters = [] } of (await documented()).operations) {
    const names = parameters.map(({ name }) => name.replaceAll(/[^a-z0-9]/gi, '').toLowerCase())
    assert.equal(new Set(names).size, names.length, `${operationId}: ${names.join(', ')}`)
  }
})

test('every answer with content has an example, and it is one of its schema', async () => {
  const { document, operations } = await documented()
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema({ $id: 'doc', ...document })
  const rooted = (schema: unknown) => JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"doc#/')) as object
  let held = 0
  for (const { operationId, responses } of operations) {
    for (const [status, { content = {} }] of Object.entries(responses)) {
      const media = content['application/json'] ?? content['text/plain']
      if (!media?.schema || !status.startsWith('2')) continue
      assert.notEqual(media.example, undefined, `${operationId} ${status}`)
      const valid = ajv.compile(rooted(media.schema))
      assert.ok(valid(media.example), `${operationId}: ${ajv.errorsText(valid.errors)}`)
      held += 1
    }
  }
  assert.ok(held > 20)
})

test('bodies of jobs and events are told apart by a word', async () => {
  const { schemas } = (await documented()).document.components
  for (const name of ['JobRequest', 'JobEvent', 'FleetEvent']) {
    const { oneOf = [], discriminator } = schemas[name] ?? {}
    assert.ok(oneOf.length > 1)
    assert.equal(Object.keys(discriminator?.mapping ?? {}).length, oneOf.length)
    for (const { $ref } of oneOf) assert.ok(schemas[$ref.split('/').at(-1) ?? ''], $ref)
  }
})
