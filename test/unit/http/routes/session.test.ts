import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { startApp } from '../../../helpers/streams/http-app.ts'
import { tokenLine, tokensFileWith } from '../../../helpers/streams/tokens.ts'

test('whoever is known is told who they are and what they may', async (t) => {
  const rights = 'packages:read,jobs:read repositories=r.example/team/** kinds=pull'
  const tokensFile = await tokensFileWith(t, tokenLine('ada', rights, 'secret'))
  const { app } = await startApp(t, { tokensFile })
  const response = await app.inject({ url: '/v1/session', headers: { authorization: 'Bearer secret' } })
  assert.deepEqual(response.json(), {
    principal: 'ada',
    scopes: ['jobs:read', 'packages:read'],
    limits: { repositories: ['r.example/team/**'], kinds: ['pull'] },
    credential: { kind: 'file', id: null },
    expiresAt: null,
  })
  assert.equal(response.headers['cache-control'], 'no-store')
  assert.doesNotMatch(response.body, new RegExp(createHash('sha256').update('secret').digest('hex').slice(0, 8)))
  assert.equal((await app.inject('/v1/session')).statusCode, 401)
})

test('where no token is required everybody is anonymous and may do all', async (t) => {
  const { app } = await startApp(t)
  assert.deepEqual((await app.inject('/v1/session')).json(), {
    principal: 'anonymous',
    scopes: ['*'],
    limits: {},
    credential: { kind: 'open', id: null },
    expiresAt: null,
  })
})
