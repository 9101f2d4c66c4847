import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordedRequest } from '../../helpers/registries/kit/exchange.ts'
import { createRules, type Rules } from '../../helpers/registries/kit/rules.ts'

const GIVEN = '/v2/a/blobs/uploads/1?_state=x'

function asked(more: Partial<RecordedRequest> = {}): RecordedRequest {
  const target = more.target ?? GIVEN
  const { pathname, searchParams } = new URL(target, 'http://registry')
  const base = { origin: 'registry', method: 'PATCH', headers: {}, bodyBytes: 0, status: undefined } as const
  return { ...base, path: pathname, query: searchParams, ...more, target }
}

const BROKEN: Readonly<Record<string, (rules: Rules) => void>> = {
  'a password to storage': (rules) =>
    rules.seen(asked({ origin: 'storage', target: '/bucket/a', headers: { authorization: 'Basic eDp5' } })),
  'a token to the token service': (rules) =>
    rules.seen(asked({ origin: 'auth', target: '/token', headers: { authorization: 'Bearer x' } })),
  'a cookie': (rules) => rules.seen(asked({ headers: { cookie: 'sid=1' } })),
  'a Content-Range with a unit': (rules) => rules.seen(asked({ headers: { 'content-range': 'bytes 0-4' } })),
  'a Content-Range of another length': (rules) =>
    rules.seen(asked({ headers: { 'content-range': '0-4', 'content-length': '9' } })),
  'a Location that was not given': (rules) => rules.seen(asked({ target: '/v2/a/blobs/uploads/1?_state=y' })),
  'two bodies of one session': (rules) => {
    rules.body('1', asked())
    rules.body('1', asked())
  },
  'a token that was refused for it': (rules) => {
    rules.uncovered('Bearer x', 'a:push')
    rules.uncovered('Bearer x', 'a:push')
  },
  'a range behind the last byte': (rules) => rules.range(asked({ headers: { range: 'bytes=5-' } }), 5),
}

for (const [what, breaks] of Object.entries(BROKEN)) {
  test(`${what} breaks a rule`, () => {
    const rules = createRules()
    rules.gave(GIVEN)
    breaks(rules)
    assert.throws(() => rules.check(), /what no client may do was done/)
  })
}

test('an upload as it should be breaks none', () => {
  const rules = createRules()
  rules.gave(GIVEN)
  rules.seen(asked({ headers: { 'content-range': '0-4', 'content-length': '5' } }))
  rules.body('1', asked())()
  rules.body('1', asked())()
  rules.seen(asked({ method: 'PUT', target: `${GIVEN}&digest=sha256%3A${'0'.repeat(64)}` }))
  rules.check()
})
