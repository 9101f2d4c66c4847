import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadConfig } from '../../../src/config/config.ts'
import type { Channel } from '../../../src/lib/channel.ts'
import { outboundPolicy } from '../../../src/roles/registry-clients.ts'

/** Whether a registry in a private network may be named. */
function mayBePrivate(env: Record<string, string>, role: 'api' | 'worker', channel?: Channel): boolean {
  const policy = outboundPolicy({ config: loadConfig({ HOME: '/home/somebody', ...env }), env, channel }, role)
  return policy.reach('10.1.2.3:5000') === 2
}

const supervised = {} as Channel
const OPEN = { LAYERD_LISTEN: '0.0.0.0:8420' }

test('callers may name registries in private networks while nobody else can call', () => {
  assert.equal(mayBePrivate({}, 'api'), true)
  assert.equal(mayBePrivate({ LAYERD_LISTEN: '[::1]:0' }, 'api'), true)
  assert.equal(mayBePrivate(OPEN, 'api'), false)
  assert.equal(mayBePrivate({}, 'worker', supervised), true)
  assert.equal(mayBePrivate(OPEN, 'worker', supervised), false)
})

test('a worker that was started alone does not know where the API listens, unless it is told', () => {
  assert.equal(mayBePrivate({}, 'worker'), false)
  assert.equal(mayBePrivate({ LAYERD_LISTEN: '127.0.0.1:8420' }, 'worker'), true)
  assert.equal(mayBePrivate(OPEN, 'worker'), false)
})

test('settings say otherwise', () => {
  for (const role of ['api', 'worker'] as const) {
    assert.equal(mayBePrivate({ ...OPEN, LAYERD_ALLOW_PRIVATE: 'true' }, role), true)
    assert.equal(mayBePrivate({ ...OPEN, LAYERD_ALLOW_PRIVATE: 'a,10.1.2.3:5000' }, role), true)
    assert.equal(mayBePrivate({ ...OPEN, LAYERD_ALLOW_PRIVATE: '10.1.2.3' }, role), false)
    assert.equal(mayBePrivate({ LAYERD_DENY_PRIVATE: 'true' }, role), false)
    assert.equal(
      mayBePrivate({ LAYERD_DENY_PRIVATE: 'yes', LAYERD_PLAIN_HTTP_REGISTRIES: '10.1.2.3:5000' }, role),
      true,
    )
  }
  assert.equal(mayBePrivate({ LAYERD_ALLOW_PRIVATE: 'false', LAYERD_DENY_PRIVATE: 'false' }, 'api'), false)
})
