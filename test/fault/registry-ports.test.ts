import assert from 'node:assert/strict'
import { createServer as createTlsServer } from 'node:https'
import { createServer } from 'node:net'
import { test } from 'node:test'
import tls from 'node:tls'
import { createCertificate } from '../helpers/network/certificate.ts'
import { type Cleanup, defer } from '../helpers/cleanup.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { createStepClock } from '../helpers/step-clock.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const tags = '/v2/some/package/tags/list'

async function askAt(
  t: Cleanup,
  host: string,
  plainHttp = false,
  lane: 'control' | 'bulk' = 'control',
): Promise<unknown> {
  const transport = connect(t, { clock: createStepClock() }).transport(host, { credential: undefined, plainHttp })
  return await transport.send(request(tags, { lane })).catch((error: unknown) => error)
}

/** Trusts the certificate for the time of the test; a process of its own would read NODE_EXTRA_CA_CERTS. */
function trust(t: Cleanup, certPem: string): void {
  const before = tls.getCACertificates('default')
  tls.setDefaultCACertificates([...before, certPem])
  defer(t, () => tls.setDefaultCACertificates(before))
}

const DAY = 86_400_000

test('an expired certificate is told with its date, on every lane', async (t) => {
  const to = new Date(Date.now() - 3 * DAY)
  const certificate = createCertificate(['127.0.0.1'], { from: new Date(Date.now() - 9 * DAY), to })
  trust(t, certificate.certPem)
  const server = createTlsServer({ key: certificate.keyPem, cert: certificate.certPem })
  const host = await listenOnLoopback(t, server)
  for (const lane of ['control', 'bulk'] as const) {
    const error = (await askAt(t, host, false, lane)) as Error & { code: string }
    assert.equal(error.code, 'REGISTRY_TLS')
    assert.ok(error.message.endsWith(`has a certificate that has expired (on ${to.toISOString().slice(0, 10)})`))
  }
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a client certificate that is wanted over ${version} is told, and nothing is sent in clear`, async (t) => {
    const certificate = createCertificate(['127.0.0.1'])
    trust(t, certificate.certPem)
    const server = createTlsServer({
      key: certificate.keyPem,
      cert: certificate.certPem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: version,
      maxVersion: version,
    })
    const inClear: unknown[] = []
    server.on('tlsClientError', (failure: NodeJS.ErrnoException) => {
      if (failure.code === 'ERR_SSL_HTTP_REQUEST') inClear.push(failure)
    })
    const error = (await askAt(t, await listenOnLoopback(t, server), true)) as { hint?: string }
    assert.match(error.hint ?? '', /client certificate/)
    assert.deepEqual(inClear, [])
  })
}

test("nginx's way of wanting a client certificate is told", async (t) => {
  const title = '400 No required SSL certificate was sent'
  const certificate = createCertificate(['127.0.0.1'])
  trust(t, certificate.certPem)
  const server = createTlsServer({ key: certificate.keyPem, cert: certificate.certPem }, (_incoming, response) => {
    response.writeHead(400, { 'content-type': 'text/html' })
    response.end(`<html><head><title>${title}</title></head><body><h1>400 Bad Request</h1></body></html>`)
  })
  const error = (await askAt(t, await listenOnLoopback(t, server))) as { code: string; hint: string }
  assert.deepEqual([error.code, /client certificate/.test(error.hint)], ['REGISTRY_TLS', true])
})

for (const [name, greets, answers] of [
  ['mail', '220 mail.example ESMTP\r\n', '500 what?\r\n'],
  ['SSH', 'SSH-2.0-OpenSSH_9.2p1\r\n', 'Invalid SSH identification string.\r\n'],
  ['Redis', '', "-ERR unknown command 'GET'\r\n"],
] as const) {
  test(`a port that speaks ${name} is another program's`, async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).on('data', () => socket.end(answers))
      if (greets !== '') socket.write(greets)
    })
    const error = (await askAt(t, await listenOnLoopback(t, server))) as Error & Record<string, string>
    assert.equal(error.code, 'REGISTRY_PROTOCOL_VIOLATION', error.message)
    assert.match(error.hint ?? '', /Another program listens there/)
  })
}
