import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test, type TestContext } from 'node:test'
import { basicHeader } from '../../src/oci/auth/token.ts'
import { refuse } from '../helpers/registries/token-server.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const SPENT = JSON.stringify({
  errors: [{ code: 'DENIED', message: 'Your authorization token has expired. Reauthenticate and try again.' }],
})
const NO_RIGHT = JSON.stringify({ errors: [{ code: 'DENIED', message: 'not authorized to perform: ecr:PutImage' }] })
const at = '/v2/some/package/manifests/1'
const OLD = { kind: 'basic', username: 'AWS', password: 'an-old-password-of-ecr' } as const
const NEW = { kind: 'basic', username: 'AWS', password: 'a-new-password-of-ecr' } as const

/** A registry that takes the new password alone, as ECR answers the old one (registries.md 5). */
async function bed(t: TestContext, denied: (response: ServerResponse) => void) {
  const registry = await startScriptedServer(
    t,
    (incoming, response) => {
      incoming.resume()
      const { authorization } = incoming.headers
      if (authorization === basicHeader(NEW)) response.end('{}')
      else if (authorization === undefined) refuse(response, 'Basic realm="https://ecr/",service="ecr.amazonaws.com"')
      else denied(response)
    },
    { pingChallenge: 'Basic realm="https://ecr/",service="ecr.amazonaws.com"' },
  )
  let renewals = 0
  const renew = async () => {
    renewals += 1
    return NEW
  }
  const transport = connect(t).transport(registry.host, { credential: OLD, plainHttp: false, renew })
  return { registry, transport, renewals: () => renewals }
}

const spent = (response: ServerResponse) => void response.writeHead(403).end(SPENT)

test('a password that ran out is renewed where the caller wants to see a 403 for itself', async (t) => {
  const { transport, renewals } = await bed(t, spent)
  const put = request(at, { method: 'PUT', body: Buffer.from('{}') })
  assert.equal((await transport.send(put, { allow: [403] })).status, 200)
  assert.equal(renewals(), 1)
})

test('to a HEAD the registry cannot say that it ran out, so it is asked with another one', async (t) => {
  for (const options of [{}, { allow: [403] }]) {
    const { transport, renewals } = await bed(t, (response) => void response.writeHead(403).end())
    assert.equal((await transport.send(request(at, { method: 'HEAD' }), options)).status, 200)
    assert.equal(renewals(), 1)
  }
})

test('a lacking right is no reason to renew, and its answer is told in full', async (t) => {
  const { transport, renewals } = await bed(t, (response) => void response.writeHead(403).end(NO_RIGHT))
  const answer = await transport.send(request(at), { allow: [403] })
  assert.equal((await answer.bytes(1024)).toString(), NO_RIGHT)
  await assert.rejects(transport.send(request(at)), { code: 'REGISTRY_DENIED', message: /ecr:PutImage/ })
  assert.equal(renewals(), 0)
})

test('a body that streams is opened anew for the new password', async (t) => {
  for (const options of [{}, { allow: [403] }]) {
    const { transport, renewals } = await bed(t, spent)
    const body = async function* () {
      yield Buffer.from('part')
    }
    const put = request(at, { method: 'PUT', lane: 'bulk', body, contentLength: 4 })
    await assert.rejects(transport.send(put, options), { retry: 'transient', message: /wanted a newer token/ })
    assert.equal((await transport.send(put, options)).status, 200)
    assert.equal(renewals(), 1)
  }
})
