import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { bearer, refuse, startTokenServer } from '../helpers/registries/token-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const ann = { kind: 'basic', username: 'ann', password: 'secret of ann' } as const
const users = { ann: 'secret of ann' }
const tags = '/v2/some/package/tags/list'

test('what one repository answers wrongly keeps nobody from another, nor from that one when it is right again', async (t) => {
  const tokens = await startTokenServer(t, { users })
  const junk = await startScriptedServer(t, (_incoming, response) => response.end('no token'))
  let isRight = false
  const registry = await startScriptedServer(t, (incoming, response) => {
    const open = incoming.url?.startsWith('/v2/open/') === true
    if (open || tokens.allows(incoming.headers.authorization, 'some/package', 'pull')) response.end('{}')
    else refuse(response, isRight ? bearer(tokens) : `Bearer realm="http://${junk.host}/token"`)
  })
  const connections = connect(t)
  const send = async (path: string, repository: string) => {
    const scopes = [{ repository, actions: ['pull' as const] }]
    const transport = connections.transport(registry.host, { plainHttp: true, credential: ann })
    return (await transport.send(request(path, { scopes }))).status
  }
  await assert.rejects(send(tags, 'some/package'))
  assert.equal(await send('/v2/open/one/tags/list', 'open/one'), 200)
  isRight = true
  assert.equal(await send(tags, 'some/package'), 200)
})
