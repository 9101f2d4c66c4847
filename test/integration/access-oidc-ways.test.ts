import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { DISCOVERY, discoveryOf, KEYS } from '../helpers/access/issuer.ts'
import { openedOidc } from '../helpers/access/opened-oidc.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { startConnectProxy } from '../helpers/network/connect-proxy.ts'
import { startTlsFront } from '../helpers/network/tls-front.ts'

const NAME = 'https://id.corp.example/realms/uds'

test('an issuer is asked through the proxy of the environment, and believed by the certificates of this machine', async (t) => {
  const certificate = createCertificate(['id.corp.example'])
  let front = ''
  const proxy = await startConnectProxy(t, () => front)
  const env = { HTTPS_PROXY: `http://${proxy.host}` }
  const { issuer, warned, clock, letsIn } = await openedOidc(t, { issuer: NAME }, { env })
  front = await startTlsFront(t, new URL(issuer.url).host, certificate)
  const path = new URL(NAME).pathname
  const document = { ...discoveryOf(issuer), issuer: NAME, jwks_uri: NAME + KEYS }
  for (const endpoint of ['authorization_endpoint', 'token_endpoint'])
    delete (document as Record<string, unknown>)[endpoint]
  issuer.instead.set(path + DISCOVERY, (_request, response) => void response.end(JSON.stringify(document)))
  const keys = { keys: issuer.keys.map((key) => key.jwk) }
  issuer.instead.set(path + KEYS, (_request, response) => void response.end(JSON.stringify(keys)))
  const token = await issuer.token({ iss: NAME })
  assert.match((await letsIn(token)) ?? '', /^ISSUER_UNAVAILABLE /)
  assert.match(warned.join(), /certificate/)
  setDefaultCACertificates([...getCACertificates('default'), certificate.certPem])
  clock.advance(5000)
  assert.equal(await letsIn(token), 'oidc:ada ', warned.join('\n'))
  assert.ok(proxy.tunnels.every((asked) => asked === 'id.corp.example:443'))
})
