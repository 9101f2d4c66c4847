import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fastify } from 'fastify'
import { createAuthenticator } from '../../../../src/access/authenticator.ts'
import { authPlugin } from '../../../../src/http/plugins/auth.ts'
import { startApp } from '../../../helpers/streams/http-app.ts'
import { tempDir } from '../../../helpers/temp-dir.ts'

async function startWithToken(t: Parameters<typeof tempDir>[0]) {
  const tokensFile = join(await tempDir(t), 'tokens')
  await writeFile(tokensFile, `ada ${createHash('sha256').update('secret').digest('hex')} *\n`)
  return { tokensFile, ...(await startApp(t, { tokensFile })) }
}

test('what probes and people look at first needs no token, everything else does', async (t) => {
  const { app } = await startWithToken(t)
  for (const url of ['/livez', '/readyz', '/version', '/', '/docs/errors', '/openapi.yaml'])
    assert.equal((await app.inject(url)).statusCode, 200, url)
  const closed = ['/v1/jobs', '/v1/jobs/x', '/v1/jobs/x/events', '/v1/uploads', '/documents', '/nothing']
  for (const url of [...closed, '//livez', '/livez/', '/v1/uploads/x']) {
    const response = await app.inject(url)
    assert.equal(response.statusCode, 401, url)
    assert.equal(response.json().code, 'UNAUTHENTICATED')
    assert.match(String(response.headers['www-authenticate']), /^Bearer/)
  }
})

test('a known token lets in, anything else does not', async (t) => {
  const { app } = await startWithToken(t)
  const status = async (authorization: string) =>
    (await app.inject({ url: '/v1/jobs', headers: { authorization } })).statusCode
  for (const good of ['Bearer secret', 'bearer secret', 'Bearer  secret']) assert.equal(await status(good), 200, good)
  const hash = createHash('sha256').update('secret').digest('hex')
  for (const bad of [
    '',
    'Bearer',
    'Bearer ',
    'Bearer other',
    `Bearer ${hash}`,
    'Basic c2VjcmV0',
    'secret',
    'Bearer secret x',
  ]) {
    assert.equal(await status(bad), 401, bad)
  }
})

test('a token is refused before its upload is read', async (t) => {
  const { app, uploadFolder } = await startWithToken(t)
  const response = await app.inject({ method: 'PUT', url: '/v1/uploads/p.tar', payload: Buffer.alloc(10) })
  assert.equal(response.statusCode, 401)
  assert.deepEqual(await readdir(uploadFolder), [])
})

test('a route that says no scope ends the start', async (t) => {
  const authenticator = createAuthenticator([])
  const app = fastify()
  t.after(() => app.close())
  void app.register(authPlugin, { authenticator })
  void app.register(async (inner) => void inner.get('/v1/anything', async () => 'all'))
  await assert.rejects(async () => app.ready(), /GET \/v1\/anything says no scope/)
})
