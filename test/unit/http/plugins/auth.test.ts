import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fastify } from 'fastify'
import { createAuthenticator } from '../../../../src/access/authenticator.ts'
import { authPlugin } from '../../../../src/http/plugins/auth.ts'
import { startApp } from '../../../helpers/streams/http-app.ts'
import type { tempDir } from '../../../helpers/temp-dir.ts'
import { tokenLine, tokensFileWith } from '../../../helpers/streams/tokens.ts'

async function startWithToken(t: Parameters<typeof tempDir>[0]) {
  const tokensFile = await tokensFileWith(t, tokenLine('ada', '*', 'secret'))
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

test('a token that is not known is told from none, and two are not chosen from', async (t) => {
  const { app, listen } = await startWithToken(t)
  const challenge = async (headers: Record<string, string>) =>
    (await app.inject({ url: '/v1/jobs', headers })).headers['www-authenticate']
  assert.equal(await challenge({}), 'Bearer realm="layerd"')
  assert.equal(await challenge({ authorization: 'Basic c2VjcmV0' }), 'Bearer realm="layerd"')
  assert.equal(await challenge({ authorization: 'Bearer other' }), 'Bearer realm="layerd", error="invalid_token"')

  const { hostname, port } = new URL(await listen())
  const ask = async (path: string, ...lines: string[]) => {
    const socket = connect(Number(port), hostname)
    socket.write([`GET ${path} HTTP/1.1`, 'Host: localhost', ...lines, 'Connection: close', '', ''].join('\r\n'))
    return await text(socket)
  }
  const twice = ['Authorization: Bearer secret', 'authorization: Bearer secret']
  for (const path of ['/v1/jobs', '/livez']) {
    const answer = await ask(path, ...twice)
    assert.match(answer, /^HTTP\/1\.1 400 [^]*the request has 2 Authorization headers/, path)
  }
  assert.match(await ask('/v1/jobs', twice[0] ?? ''), /^HTTP\/1\.1 200 /)
  const long = await ask('/v1/jobs', `Authorization: Bearer ${'x'.repeat(100 * 1024)}`)
  assert.match(long, /^HTTP\/1\.1 431 [^]*the request headers are too large/)
})
