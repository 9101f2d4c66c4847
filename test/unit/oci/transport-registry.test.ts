import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { createRegistryConnections } from '../../../src/oci/connections.ts'
import type { RegistryRequest, Scope } from '../../../src/oci/transport.ts'
import { type Cleanup, defer } from '../../helpers/cleanup.ts'
import { startDockerRegistry } from '../../helpers/docker-registry.ts'

const scopes: Scope[] = [{ repository: 'some/package', actions: ['pull', 'push'] }]

function connect(t: Cleanup) {
  const connections = createRegistryConnections({ version: '0.0.0-test' })
  defer(t, async () => await connections[Symbol.asyncDispose]())
  return connections
}

function get(target: string | URL, more: Partial<RegistryRequest> = {}): RegistryRequest {
  return { method: 'GET', target, scopes, lane: 'control', op: 'look', signal: new AbortController().signal, ...more }
}

test('a loopback registry without accounts is found over plain HTTP', async (t) => {
  const registry = await startDockerRegistry(t)
  const transport = connect(t).transport(registry.host, { credential: undefined, plainHttp: false })
  const response = await transport.send(get('/v2/'))
  assert.equal(response.status, 200)
  assert.equal(response.url.protocol, 'http:')
  assert.equal((await response.bytes(1000)).toString(), '{}')
})

test('a blob goes up with Basic and comes back', async (t) => {
  const htpasswd = { user: 'ann', password: 'secret of ann' }
  const registry = await startDockerRegistry(t, { htpasswd })
  const credential = { kind: 'basic', username: htpasswd.user, password: htpasswd.password } as const
  const transport = connect(t).transport(registry.host, { credential, plainHttp: false })
  const content = Buffer.from('some content')
  const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`
  const opened = await transport.send(get('/v2/some/package/blobs/uploads/', { method: 'POST', op: 'open upload' }))
  assert.equal(opened.status, 202)
  await opened.discard()
  const location = new URL(opened.header('Location') ?? '', opened.url)
  location.searchParams.set('digest', digest)
  const body = async function* () {
    yield content
  }
  const put = await transport.send(
    get(location, {
      method: 'PUT',
      lane: 'bulk',
      body,
      contentLength: content.length,
      headers: { 'content-type': 'application/octet-stream' },
    }),
  )
  assert.equal(put.status, 201)
  await put.discard()
  const back = await transport.send(get(`/v2/some/package/blobs/${digest}`, { lane: 'bulk' }))
  assert.deepEqual(await back.bytes(1000), content)
})

test('a wrong password is told as such, with what the registry said', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'ann', password: 'right' } })
  const credential = { kind: 'basic', username: 'ann', password: 'wrong' } as const
  const transport = connect(t).transport(registry.host, { credential, plainHttp: false })
  await assert.rejects(transport.send(get('/v2/some/package/tags/list', { op: 'list tags' })), {
    code: 'REGISTRY_UNAUTHORIZED',
    retry: 'permanent',
    op: 'list tags',
    hint: 'Check user and password (or token) for this registry.',
    upstream: {
      registry: registry.host,
      repository: 'some/package',
      method: 'GET',
      url: `http://${registry.host}/v2/some/package/tags/list`,
      status: 401,
      ociCode: 'UNAUTHORIZED',
      message: 'authentication required',
    },
  })
})
