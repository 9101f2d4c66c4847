import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acceptsByName, chooseMediaType } from '../../../../src/http/answers/accept.ts'

const OFFERED = ['text/event-stream', 'application/x-ndjson', 'application/json'] as const

test('the media type follows the Accept header', () => {
  const cases: Array<[string | undefined, string | undefined]> = [
    [undefined, 'text/event-stream'],
    ['', 'text/event-stream'],
    ['*/*', 'text/event-stream'],
    ['text/event-stream', 'text/event-stream'],
    ['application/x-ndjson', 'application/x-ndjson'],
    ['application/json', 'application/json'],
    ['application/*', 'application/x-ndjson'],
    ['Application/JSON; charset=utf-8', 'application/json'],
    ['application/json;q=0.5, application/x-ndjson;q=0.9', 'application/x-ndjson'],
    ['*/*;q=0.1, application/json', 'application/json'],
    ['text/event-stream;q=0, */*', 'application/x-ndjson'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'text/event-stream'],
    ['text/html', undefined],
    ['application/json;q=oops', undefined],
  ]
  for (const [accept, expected] of cases) assert.equal(chooseMediaType(accept, OFFERED), expected, accept)
})

test('only a type that is named counts as asked for by name', () => {
  assert.equal(acceptsByName('application/json', 'application/json'), true)
  assert.equal(acceptsByName('text/html, application/json;q=0.1', 'application/json'), true)
  for (const accept of [undefined, '*/*', 'application/*', 'application/json;q=0']) {
    assert.equal(acceptsByName(accept, 'application/json'), false, accept)
  }
})
