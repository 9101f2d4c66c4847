import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startApp } from '../../../helpers/streams/http-app.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

test('whoever is known is told who they are and what they may', async (t) => {
  const tokensFile = join(await tempDir(t), 'tokens')
  const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
  const line = 'ada HASH packages:read,jobs:read repositories=r.example/team/** kinds=pull'
  await writeFile(tokensFile, line.replace('HASH', hashOf('secret')))
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
  assert.doesNotMatch(response.body, new RegExp(hashOf('secret').slice(0, 8)))
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
