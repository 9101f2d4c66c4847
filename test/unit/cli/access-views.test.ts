import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditEntry, Policy } from '../../../src/cli/client/contract.ts'
import { auditTable } from '../../../src/cli/view/audit-table.ts'
import { fittedTable } from '../../../src/cli/view/format.ts'
import { policyText, wantedText } from '../../../src/cli/view/policy-text.ts'

const ENTRY: AuditEntry = {
  id: 'd1-0',
  time: '2026-03-01T12:00:05.123Z',
  principal: 'ci',
  credential: { kind: 'file', id: null },
  address: '127.0.0.1',
  action: 'deleteToken',
  method: 'DELETE',
  route: '/v1/tokens/:id',
  target: { id: '5f0c1b7e9a3d2468' },
  outcome: 'succeeded',
  status: 204,
  code: null,
  requestId: 'r',
}
const LONG: AuditEntry = {
  ...ENTRY,
  principal: `oidc:${'x'.repeat(300)}`,
  action: 'aNameOfAnOperationThatIsLongerThanItsColumn',
  target: { source: `oci://ghcr.io/${'team/'.repeat(30)}nemo:1.2.0`, forged: '\u001b[2J\n2026-03-01 12:00:06  root' },
  outcome: 'refused',
  status: 403,
  code: 'AN_ERROR_CODE_THAT_IS_LONG_INDEED',
}
const NOBODY: AuditEntry = { ...ENTRY, principal: null, action: null, route: null, target: {} }

test('an entry of the audit is a line, and on a screen without room for it two that end there', () => {
  const line = '2026-03-01 12:00:05  ci   deleteToken  succeeded  id=5f0c1b7e9a3d2468  127.0.0.1\n'
  assert.equal(auditTable([ENTRY], { heads: false, columns: undefined }), line.replace('ci   ', 'ci  '))
  const [heads = '', first = '', second = '', ...others] = auditTable([ENTRY, LONG, NOBODY], {
    heads: true,
    columns: 80,
  }).split('\n')
  assert.match(heads, /^TIME +WHO +WHAT +OUTCOME$/)
  assert.match(first, /^2026-03-01 12:00:05 {2}ci +deleteToken +succeeded$/)
  assert.equal(second, '  from 127.0.0.1: id=5f0c1b7e9a3d2468')
  assert.match(others[0] ?? '', /^2026-03-01 12:00:05 {2}oidc:x+… {2}aNameOf\w+… {2}AN_ERROR_\w+…$/)
  assert.match(others[2] ?? '', /^2026-03-01 12:00:05 {2}- +DELETE +succeeded$/)
  assert.deepEqual(others.slice(3), ['  from 127.0.0.1', ''])
  for (const each of [heads, first, second, ...others]) assert.ok(each.length <= 80, each)
})

test('what is not seen is shown, and begins no line', () => {
  const told = auditTable([LONG], { heads: true, columns: undefined })
  assert.equal(told.split('\n').length, 3)
  const narrow = auditTable([LONG, { ...LONG, target: { id: 'a\nb' } }], { heads: false, columns: 80 })
  assert.equal(narrow.split('\n').length, 5, narrow)
  assert.ok(told.includes(String.raw`forged=\u001b[2J\u000a2026`))
  const identity = { san: 'ci@team.example\n  kinds    none', issuer: 'https://i.example\u001b[2J' }
  const policy = policyText({ name: 'a', match: ['*/**'], verify: { identity }, updatedAt: '2026-03-01T12:00:05.123Z' })
  assert.equal(policy.split('\n').length, 7, policy)
  assert.ok(!policy.includes('\u001b'))
})

test('what a policy wants is told in few words', () => {
  const who = { san: 'ci@team.example', issuer: 'https://i.example' }
  const cases: Array<[Policy['verify'], string]> = [
    [{ mode: 'never' }, 'nothing'],
    [{ keyRef: 'release' }, 'key release'],
    [{ mode: 'if-possible', keyRef: 'release' }, 'key release'],
    [{ key: 'PEM' }, 'a key'],
    [{ identity: who }, 'ci@team.example'],
    [{ identityPattern: who }, 'ci@team.example'],
    [{ mode: 'if-possible' }, 'what can be checked'],
  ]
  for (const [verify, says] of cases) assert.equal(wantedText(verify), says)
})

test('a table is cut where a screen ends, and nowhere else', () => {
  const cells = [['n'.repeat(30), 'key', 'all', `ghcr.io/${'a/'.repeat(40)}**`]]
  assert.ok(fittedTable(cells, { columns: undefined, widest: [24] }).includes('a/**'))
  assert.ok(fittedTable(cells, { columns: 200, widest: [24] }).includes('a/**'))
  const [line = '', end] = fittedTable(cells, { columns: 80, widest: [24] }).split('\n')
  assert.deepEqual([line.length, end], [80, ''])
  assert.match(line, /^n{23}… {2}key {2}all {2}ghcr\.io\/.*…$/)
})
