import assert from 'node:assert/strict'
import { test } from 'node:test'
import { registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startTokenServer } from '../helpers/registries/token-server.ts'
import { connect, push, request } from '../helpers/registries/transport.ts'

const credential = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const users = { ann: 'secret of ann' }

test('a loopback registry without accounts is found over plain HTTP', async (t) => {
  const registry = await startDockerRegistry(t)
  const transport = connect(t).transport(registry.host, { credential: undefined, plainHttp: false })
  const response = await transport.send(request('/v2/'))
  assert.equal(response.status, 200)
  assert.equal(response.url.protocol, 'http:')
  assert.equal((await response.bytes(1000)).toString(), '{}')
})

test('a blob goes up with Basic and comes back', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'ann', password: 'secret of ann' } })
  const transport = connect(t).transport(registry.host, { credential, plainHttp: false })
  const content = Buffer.from('some content')
  const digest = await push(transport, 'some/package', content)
  const back = await transport.send(request(`/v2/some/package/blobs/${digest}`, { lane: 'bulk' }))
  assert.deepEqual(await back.bytes(1000), content)
})

test('a wrong password is told as such, with what the registry said', async (t) => {
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'ann', password: 'another' } })
  const transport = connect(t).transport(registry.host, { credential, plainHttp: false })
  await assert.rejects(transport.send(request('/v2/some/package/tags/list', { op: 'list tags' })), {
    code: 'REGISTRY_UNAUTHORIZED',
    retry: 'permanent',
    op: 'list tags',
    hint: 'It did not take the user "ann": check what the job\'s X-Registry-Auth header says, or without one, what is kept for the registry (layerd registries), else docker login of the user layerd runs as.',
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

for (const program of registryPrograms()) {
  test(`${program} with a token service: a push asks for pull and push once, and is let in`, async (t) => {
    const tokens = await startTokenServer(t, { users })
    const registry = await startDockerRegistry(t, { program, token: tokens })
    const transport = connect(t).transport(registry.host, { credential, plainHttp: false })
    await push(transport, 'some/package', Buffer.from('some content'))
    assert.deepEqual(
      tokens.requests.map(({ method, scopes, service, account, status }) => ({
        method,
        scopes,
        service,
        account,
        status,
      })),
      [
        {
          method: 'GET',
          scopes: ['repository:some/package:pull,push'],
          service: tokens.service,
          account: 'ann',
          status: 200,
        },
      ],
    )
  })

  test(`${program} with a token service: anonymous may read what the service lets it`, async (t) => {
    const tokens = await startTokenServer(t, { users })
    const registry = await startDockerRegistry(t, { program, token: tokens })
    const connections = connect(t)
    const owner = connections.transport(registry.host, { credential, plainHttp: false })
    const digest = await push(owner, 'some/package', Buffer.from('some content'))
    const anonymous = connections.transport(registry.host, { credential: undefined, plainHttp: false })
    const scopes = [{ repository: 'some/package', actions: ['pull'] }] as const
    const answer = await anonymous.send(request(`/v2/some/package/blobs/${digest}`, { scopes }))
    assert.equal((await answer.bytes(100)).toString(), 'some content')
    await assert.rejects(push(anonymous, 'some/package', Buffer.from('more')), {
      code: 'REGISTRY_UNAUTHORIZED',
      retry: 'permanent',
      hint: /No credentials are known for this registry/,
    })
  })
}
