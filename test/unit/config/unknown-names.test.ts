import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SETTING_NAMES } from '../../../src/config/config.ts'
import { unknownNames, unknownNameText } from '../../../src/config/unknown-names.ts'

test('a name that nobody reads is told, with what was most likely meant', () => {
  const env = { LAYERD_LISTN: '1', LAYERD_REDIS_URI: 'x', LAYERD_FROBNICATOR: '', PATH: '/', LAYERD_WORKERS: '2' }
  assert.deepEqual(unknownNames(env, SETTING_NAMES), [
    { name: 'LAYERD_LISTN', suggestion: 'LAYERD_LISTEN' },
    { name: 'LAYERD_REDIS_URI', suggestion: 'LAYERD_REDIS_URL' },
    { name: 'LAYERD_FROBNICATOR' },
  ])
  assert.equal(
    unknownNameText({ name: 'LAYERD_LISTN', suggestion: 'LAYERD_LISTEN' }),
    'LAYERD_LISTN is no setting of layerd and has no effect; LAYERD_LISTEN is one',
  )
})

test("files of secrets are settings too, and what Kubernetes sets for a service is nobody's mistake", () => {
  const env = {
    LAYERD_TOKEN_FILE: '/t',
    LAYERD_REDIS_URL_FILE: '/r',
    LAYERD_PORT: 'tcp://10.96.0.7:8420',
    LAYERD_PORT_8420_TCP: 'tcp://10.96.0.7:8420',
    LAYERD_PORT_8420_TCP_PROTO: 'tcp',
    LAYERD_PORT_8420_TCP_PORT: '8420',
    LAYERD_PORT_8420_TCP_ADDR: '10.96.0.7',
    LAYERD_SERVICE_HOST: '10.96.0.7',
    LAYERD_SERVICE_PORT: '8420',
    LAYERD_SERVICE_PORT_HTTP: '8420',
    LAYERD_REDIS_SERVICE_HOST: '10.96.0.8',
    LAYERD_REDIS_PORT: 'tcp://10.96.0.8:6379',
  }
  assert.deepEqual(unknownNames(env, SETTING_NAMES), [])
  assert.deepEqual(
    unknownNames({ LAYERD_PORT: '8420' }, SETTING_NAMES).map(({ name }) => name),
    ['LAYERD_PORT'],
    'a number is what somebody wrote who wants another port',
  )
})
