import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ANYWHERE, createOutboundPolicy, Outbound, type OutboundRules } from '../../../../src/oci/request/outbound.ts'

const policy = (rules: Partial<OutboundRules>) =>
  createOutboundPolicy({ allowed: undefined, named: [], anywhere: false, ...rules })

test('registries that nobody named may be public alone; those that a setting names, anywhere', () => {
  const { reach } = policy({ named: ['registry:5000', '10.0.0.1', 'docker.io'] })
  assert.deepEqual(['registry:5000', 'REGISTRY:5000', '10.0.0.1', 'index.docker.io'].map(reach), [2, 2, 2, 2])
  assert.deepEqual(['registry', 'registry:5001', '10.0.0.2', 'ghcr.io'].map(reach), [0, 0, 0, 0])
  assert.equal(policy({ anywhere: true }).reach('10.0.0.2'), 2)
})

test('what a name alone tells is refused before a job is made', () => {
  const { check } = policy({ named: ['127.0.0.1:5000'] })
  for (const registry of ['ghcr.io', '8.8.8.8', '127.0.0.1:5000']) check(registry)
  for (const registry of [
    '127.0.0.1:5001',
    'localhost:5000',
    '10.1.2.3',
    '[::1]:5000',
    '[fd00::1]',
    '169.254.169.254',
  ]) {
    assert.throws(() => check(registry), {
      code: 'REGISTRY_NOT_ALLOWED',
      message: `the registry ${registry} may not be contacted`,
      hint: /LAYERD_ALLOW_PRIVATE/,
    })
  }
  assert.throws(() => policy({ anywhere: true }).check('169.254.169.254'), { code: 'REGISTRY_NOT_ALLOWED' })
  policy({ anywhere: true }).check('10.1.2.3')
})

test('where registries are listed no other is spoken to', () => {
  const { check, reach } = policy({
    allowed: ['docker.io', '*.corp.example', '*.corp.example:8443', 'reg.example:5000'],
  })
  for (const registry of [
    'docker.io',
    'registry-1.docker.io',
    'a.corp.example',
    'a.b.corp.example:8443',
    'reg.example:5000',
  ])
    check(registry)
  for (const registry of ['ghcr.io', 'corp.example', 'evilcorp.example', 'a.corp.example:5000', 'reg.example']) {
    const refusal = { code: 'REGISTRY_NOT_ALLOWED', hint: /LAYERD_ALLOWED_REGISTRIES/, message: /none of those/ }
    assert.throws(() => check(registry), refusal, registry)
    assert.throws(() => reach(registry), refusal, registry)
  }
  assert.equal(reach('a.corp.example'), 0, 'a list says nothing of where they are')
  assert.throws(() => policy({ allowed: [] }).check('ghcr.io'), { code: 'REGISTRY_NOT_ALLOWED' })
})

const REGISTRY = new URL('https://reg.example')

/** Found at these, one after the other. */
function foundAt(...addresses: readonly string[]) {
  const outbound = new Outbound(ANYWHERE)
  const guard = outbound.guard(2)
  for (const address of addresses) guard.onConnect?.({ hostname: REGISTRY.hostname, address })
  return (target: string) => outbound.named('reg.example', REGISTRY, new URL(target))
}

const PLACES: ReadonlyArray<[addresses: readonly string[], reach: 0 | 1 | 2]> = [
  [[], 0],
  [['8.8.8.8'], 0],
  [['10.0.0.1'], 1],
  [['127.0.0.1', '::1'], 2],
  [['127.0.0.1', '10.0.0.1'], 1],
  [['8.8.8.8', '10.0.0.9'], 0],
  [['127.0.0.1', '8.8.8.8', '127.0.0.1', '10.0.0.1'], 0],
]

for (const [addresses, reach] of PLACES) {
  test(`a registry found at ${addresses.join(', ') || 'no address yet'} leads no closer than ${reach}`, () => {
    const named = foundAt(...addresses)
    for (const target of ['https://other.example/x', 'https://reg.example:6443/x', 'http://reg.example/x']) {
      assert.equal(named(target), reach, target)
    }
    assert.equal(named('https://reg.example:443/x'), 2, 'what the caller named is where the policy lets it be')
  })
}

test('a registry that is named as a number is as close as that, on any port', () => {
  const outbound = new Outbound(ANYWHERE)
  for (const [host, reach] of [
    ['127.0.0.1', 2],
    ['[::1]', 2],
    ['10.0.0.1', 1],
    ['8.8.8.8', 0],
  ] as const) {
    const base = new URL(`http://${host}:5000`)
    assert.equal(outbound.named(base.host, base, new URL(`http://${host}:5001/x`)), reach, host)
  }
})
