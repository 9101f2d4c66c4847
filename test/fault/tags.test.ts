import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRepository } from '../helpers/registries/oci-client.ts'
import { type ScriptEntry, startScriptedRegistry } from '../helpers/registries/scripted-registry.ts'

const signal = new AbortController().signal
const FIRST = '/v2/test/blobs/tags/list?n=1000'
const page = (path: string, tags: readonly string[] | null, link?: string): ScriptEntry => ({
  method: 'GET',
  path,
  answerHeaders: { 'content-type': 'application/json', ...(link === undefined ? {} : { link }) },
  body: JSON.stringify({ name: 'test/blobs', tags }),
})

test('pages are followed by relative and absolute links, their query as it is', async (t) => {
  const registry = await startScriptedRegistry(t, (url) => [
    page(FIRST, ['a', 'b'], '</v2/test/blobs/tags/list?last=b%2Fx&n=2>; rel="next"'),
    page('/v2/test/blobs/tags/list?last=b%2Fx&n=2', ['c'], `<${url}/more?opaque=1>; rel=next`),
    page('/more?opaque=1', ['d']),
  ])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await repository.tags({ signal }), ['a', 'b', 'c', 'd'])
  registry.check()
})

test('tags.link-on-last-page: a page that brings nothing new is the last one', async (t) => {
  const registry = await startScriptedRegistry(t, [
    page(FIRST, ['a', 'b'], '</v2/test/blobs/tags/list?last=b>; rel="next"'),
    page('/v2/test/blobs/tags/list?last=b', ['b'], '</v2/test/blobs/tags/list?last=b2>; rel="next"'),
  ])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await repository.tags({ signal }), ['a', 'b'])
  registry.check()
})

test('a link back to a page that was read ends the list', async (t) => {
  const registry = await startScriptedRegistry(t, (url) => [page(FIRST, ['a'], `<${url}${FIRST}>; rel="next"`)])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await repository.tags({ signal }), ['a'])
})

test('tags.unpaginated-28: a registry that sends all of them at once, in no order, is read to the end', async (t) => {
  const names = Array.from({ length: 2500 }, (_, at) => `v${(at * 7919) % 2500}`)
  const registry = await startScriptedRegistry(t, [page(FIRST, names)])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await repository.tags({ signal }), names)
})

test('tags.null: no tags', async (t) => {
  const registry = await startScriptedRegistry(t, [page(FIRST, null)])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await repository.tags({ signal }), [])
})

test('a list that goes on at another host is refused', async (t) => {
  const registry = await startScriptedRegistry(t, [page(FIRST, ['a'], '<http://127.0.0.2:1/v2/x>; rel="next"')])
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.tags({ signal }), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
})

test('what is no list of tags is refused', async (t) => {
  const html = { 'content-type': 'text/html' }
  const registry = await startScriptedRegistry(t, [
    { ...page(FIRST, []), body: 'not JSON' },
    { ...page(FIRST, []), body: '{"tags":[1]}' },
    { ...page(FIRST, []), answerHeaders: html, body: '<html></html>' },
    { ...page(FIRST, []), answerHeaders: html, body: '<html></html>', status: 404 },
  ])
  const repository = await openRepository(t, registry.host)
  for (let line = 0; line < 4; line += 1) {
    await assert.rejects(repository.tags({ signal }), { code: 'REGISTRY_PROTOCOL_VIOLATION' })
  }
  registry.check()
})

test('a page of more than 4 MiB, more tags than any repository has, and what would take long to parse are refused', async (t) => {
  const many = (count: number, length: number) => Array.from({ length: count }, (_, at) => `t${at}`.padEnd(length, 'x'))
  const refused: ReadonlyArray<[body: string, says: RegExp]> = [
    [JSON.stringify({ tags: many(40_000, 128) }), /./],
    [JSON.stringify({ tags: many(200_001, 8) }), /list of tags that holds more than 200000 values/],
    [`{"tags":null,"x":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, /list of tags that nests more than 32 deep/],
  ]
  for (const [body, message] of refused) {
    const registry = await startScriptedRegistry(t, [{ ...page(FIRST, []), body }])
    const repository = await openRepository(t, registry.host)
    await assert.rejects(repository.tags({ signal }), { code: 'REGISTRY_PROTOCOL_VIOLATION', message })
  }
})

test('pages that together hold more tags than any repository has are refused', async (t) => {
  const pages = [0, 1].map((at) => Array.from({ length: 110_000 }, (_, tag) => `${at}.${tag}`))
  const registry = await startScriptedRegistry(t, [
    page(FIRST, pages[0] ?? [], '</v2/test/blobs/tags/list?last=b>; rel="next"'),
    page('/v2/test/blobs/tags/list?last=b', pages[1] ?? []),
  ])
  const repository = await openRepository(t, registry.host)
  await assert.rejects(repository.tags({ signal }), {
    code: 'REGISTRY_PROTOCOL_VIOLATION',
    message: /lists more than 200000 tags/,
  })
})
