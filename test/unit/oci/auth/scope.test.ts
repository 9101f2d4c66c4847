import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatScopes, mergeScopes, parseScopes, scopeKey } from '../../../../src/oci/auth/scope.ts'

test('scopes keep their order, the destination first', () => {
  const scopes = formatScopes([
    { repository: 'z/destination', actions: ['pull', 'push'] },
    { repository: 'a/source', actions: ['pull'] },
  ])
  assert.deepEqual(scopes, ['repository:z/destination:pull,push', 'repository:a/source:pull'])
})

test('a challenge adds what we did not think of, once for each resource', () => {
  const asked = parseScopes('repository:a/b:push,metadata_read  registry:catalog:* *')
  assert.deepEqual(mergeScopes(['repository:a/b:pull,push'], asked), [
    'repository:a/b:pull,push,metadata_read',
    'registry:catalog:*',
    '*',
  ])
})

test('a repository may name a host with a port', () => {
  assert.deepEqual(mergeScopes(['repository:host:5000/a:pull'], ['repository:host:5000/a:push']), [
    'repository:host:5000/a:pull,push',
  ])
})

test('the order of actions and scopes makes no other key', () => {
  assert.equal(
    scopeKey(['repository:b:push,pull', 'repository:a:pull']),
    scopeKey(['repository:a:pull', 'repository:b:pull,push']),
  )
  assert.notEqual(scopeKey(['repository:a:pull']), scopeKey(['repository:a:pull,push']))
})
