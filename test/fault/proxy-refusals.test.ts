import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { type AppError, isAppError } from '../../src/lib/errors.ts'
import type { Proxies } from '../../src/oci/wire/exchanges/proxy-choice.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { connect, request } from '../helpers/registries/transport.ts'
import { createStepClock } from '../helpers/step-clock.ts'

/** What a proxy answers that leads nowhere, for registries over https (tunnels) and over plain HTTP (requests in full). */
const tags = '/v2/some/package/tags/list'
const html = '<!DOCTYPE html><html><title>Log in</title></html>'

interface Seen {
  readonly host: string
  /** First lines and passwords of what was asked. */
  readonly asked: string[]
}

/** A server that answers the head of each request by `answer`, raw. */
async function startProxy(t: Cleanup, answer: (socket: Socket, nth: number) => void, tls = false): Promise<Seen> {
  const asked: string[] = []
  const serve = (socket: Socket): void => {
    let head = ''
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      if (head.includes('\r\n\r\n')) return
      head += bytes.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      const [line = '', ...headers] = head.split('\r\n')
      const shown = headers.find((header) => /^proxy-authorization:/i.test(header))
      asked.push(shown === undefined ? line : `${line} ${shown.split(' ').slice(1).join(' ')}`)
      answer(socket, asked.length)
    })
  }
  const { keyPem: key, certPem: cert } = createCertificate()
  const server = tls ? createTlsServer({ key, cert }, serve).on('tlsClientError', () => undefined) : createServer(serve)
  return { host: await listenOnLoopback(t, server), asked }
}

/** The error of a request to a registry elsewhere, and how often it was tried again. */
async function failure(t: Cleanup, proxy: Proxies, plainHttp = false): Promise<{ error: AppError; retries: number }> {
  const transport = connect(t, { proxy, clock: createStepClock() }).transport('registry.invalid', {
    credential: { kind: 'basic', username: 'ann', password: 'registry-secret' },
    plainHttp,
  })
  let retries = 0
  const sent = transport.send(request(tags, { onRetry: () => (retries += 1) }))
  const error = await sent.then(
    () => assert.fail('it was answered'),
    (thrown: unknown) => thrown,
  )
  assert.ok(isAppError(error), String(error))
  const told = `${error.message} ${error.hint} ${JSON.stringify([error.details, error.upstream])} ${String(error.cause)}`
  assert.doesNotMatch(told, /secret|c2VjcmV0/)
  return { error, retries }
}

const answering =
  (head: string, body = '') =>
  (socket: Socket) =>
    socket.write(`HTTP/1.1 ${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`)

const REFUSALS: ReadonlyArray<readonly [head: string, says: RegExp, hint: RegExp, again: boolean]> = [
  [
    '407 Proxy Authentication Required\r\nproxy-authenticate: Negotiate\r\nproxy-authenticate: Basic realm="a, b"',
    /^look: registry\.invalid cannot be reached: the proxy \(HTTPS_PROXY\) answered 407 Proxy Authentication Required \(Negotiate, Basic\)$/,
    /HTTPS_PROXY=http:\/\/user:password@host:port/,
    false,
  ],
  ['403 Forbidden', /\(HTTPS_PROXY\) answered 403 Forbidden$/, /NO_PROXY/, false],
  ['405 Method Not Allowed', /\(HTTPS_PROXY\) answered 405 Method Not Allowed$/, /HTTPS_PROXY names a proxy/, false],
  ['302 Found\r\nlocation: http://login.invalid/', /answered 302 Found$/, /HTTPS_PROXY names a proxy/, false],
  ['502 Bad Gateway', /\(HTTPS_PROXY\) answered 502 Bad Gateway$/, /could not reach the registry/, true],
  ['503 Service Unavailable', /answered 503 Service Unavailable$/, /could not reach the registry/, true],
  ['299 Odd', /answered 299$/, /HTTPS_PROXY names a proxy/, false],
  [
    '200 OK\r\ncontent-type: text/html; charset=utf-8',
    /the proxy \(HTTPS_PROXY\) answered CONNECT with a page \(200, text\/html\) and no tunnel$/,
    /log-in page.*HTTPS_PROXY/,
    false,
  ],
]

for (const [head, says, hint, again] of REFUSALS) {
  const [status = ''] = head.split('\r\n')
  test(`a proxy answers CONNECT with ${status}: told as the proxy's word${again ? ', and asked again' : ', and for good'}`, async (t) => {
    const proxy = await startProxy(t, answering(head, html))
    const { error, retries } = await failure(t, { https: `http://bob:secret@${proxy.host}` })
    assert.equal(error.code, 'REGISTRY_UNREACHABLE')
    assert.match(error.message, says)
    assert.match(error.hint ?? '', hint)
    assert.equal(retries > 0, again)
    assert.equal(proxy.asked.length, retries + 1)
    const basic = `Basic ${Buffer.from('bob:secret').toString('base64')}`
    assert.equal(proxy.asked[0], `CONNECT registry.invalid:443 HTTP/1.1 ${basic}`)
  })
}

test('a page that comes where the tunnel should be is told with the proxy beside it', async (t) => {
  const proxy = await startProxy(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    // After the greeting of TLS, as one that answers whatever comes.
    socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\n\r\n${html}`))
  })
  const { error, retries } = await failure(t, { https: `http://${proxy.host}` })
  assert.equal(error.code, 'REGISTRY_TLS')
  assert.match(error.message, /does not speak TLS \(\w+\) through the proxy \(HTTPS_PROXY\)$/)
  assert.match(error.hint ?? '', /check HTTPS_PROXY and NO_PROXY/)
  assert.equal(retries, 0)
})

test('a proxy that nobody listens at is not taken for the registry', async (t) => {
  const gone = createServer()
  const there = await listenOnLoopback(t, gone)
  gone.close()
  for (const [proxy, plain, says] of [
    [{ https: `http://bob:secret@${there}` }, false, /the proxy \(HTTPS_PROXY\) did not answer \(ECONNREFUSED\)$/],
    [{ http: `http://bob:secret@${there}` }, false, /the proxy \(HTTP_PROXY\) did not answer \(ECONNREFUSED\)$/],
    [{ http: `http://bob:secret@${there}` }, true, /the proxy \(HTTP_PROXY\) did not answer \(ECONNREFUSED\)$/],
  ] as const) {
    const { error, retries } = await failure(t, proxy, plain)
    assert.equal(error.code, 'REGISTRY_UNREACHABLE')
    assert.match(error.message, says)
    assert.match(error.hint ?? '', /^Check HTTPS?_PROXY/)
    assert.ok(retries > 0)
  }
})

test('a proxy over TLS whose CA is unknown is told as such, one that speaks none too', async (t) => {
  const secure = (await startProxy(t, answering('200 OK'), true)).host
  const clear = await listenOnLoopback(t, createHttpServer())
  for (const [proxy, says, hint] of [
    [{ https: `https://${secure}` }, /proxy \(HTTPS_PROXY\) has a certificate that does not hold/, /SSL_CERT_FILE/],
    [{ https: `https://${clear}` }, /proxy \(HTTPS_PROXY\) does not speak TLS/, /http:\/\/ or https:\/\//],
  ] as const) {
    const { error, retries } = await failure(t, proxy)
    assert.equal(error.code, 'REGISTRY_UNREACHABLE')
    assert.match(error.message, says)
    assert.match(error.hint ?? '', hint)
    assert.equal(retries, 0)
  }
})

test('for a registry over plain HTTP a 407 is the word of the proxy too, whose password goes with each request', async (t) => {
  const proxy = await startProxy(t, answering('407 Proxy Authentication Required\r\nproxy-authenticate: Basic', html))
  const { error, retries } = await failure(t, { http: `http://bob:secret@${proxy.host}` }, true)
  assert.equal(error.code, 'REGISTRY_UNREACHABLE')
  assert.match(error.message, /registry\.invalid cannot be reached: the proxy \(HTTP_PROXY\) answered 407 /)
  assert.match(error.hint ?? '', /HTTP_PROXY=http:\/\/user:password@host:port/)
  assert.equal(retries, 0)
  const basic = `Basic ${Buffer.from('bob:secret').toString('base64')}`
  assert.ok(proxy.asked.length > 0)
  for (const asked of proxy.asked) assert.ok(asked.endsWith(` HTTP/1.1 ${basic}`), asked)
})

test('NO_PROXY decides for each address that a request comes to, that of storage too', async (t) => {
  const proxy = await startProxy(t, (socket, nth) => {
    const redirect = 'HTTP/1.1 307 Away\r\nlocation: http://storage.inside.invalid/blob\r\ncontent-length: 0\r\n\r\n'
    socket.end(nth <= 1 ? 'HTTP/1.1 501 No\r\ncontent-length: 0\r\n\r\n' : redirect)
  })
  const connections = connect(t, {
    proxy: { http: `http://${proxy.host}`, no: '.inside.invalid' },
    clock: createStepClock(),
  })
  const transport = connections.transport('inside.invalid', { credential: undefined, plainHttp: true })
  await assert.rejects(transport.send(request(tags)), /storage\.inside\.invalid is not a known host/)
  assert.ok(
    proxy.asked.every((line) => line.includes('//inside.invalid') || line.includes(' inside.invalid')),
    proxy.asked.join('\n'),
  )
})
