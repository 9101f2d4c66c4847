import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { createOutboundPolicy } from '../../src/oci/connections.ts'
import type { Cleanup } from '../helpers/cleanup.ts'
import { createCertificate, type TestCertificate } from '../helpers/network/certificate.ts'
import { startConnectProxy } from '../helpers/network/connect-proxy.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { freePort } from '../helpers/network/ports.ts'
import { found, nameAt, ping, states } from '../helpers/registries/pinging.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'

const DAY_MS = 86_400_000
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS)

/** An open registry that is called `inner.test`. */
async function inner(t: TestContext, tls?: TestCertificate) {
  const server = await startScriptedServer(t, (_request, response) => response.end('{}'), tls ? { tls } : {})
  return { host: `inner.test:${new URL(server.url).port}`, lookup: nameAt('inner.test', '127.0.0.1'), server }
}

test('a name that nobody knows is told as that, and nothing after it is tried', async (t) => {
  const report = await ping(t, 'nowhere.test/team/nemo', { lookup: nameAt('inner.test', '127.0.0.1') })
  assert.equal(report.ok, false)
  assert.match(found(report, 'name'), /^failed \| .*nowhere\.test is not a known host \| .*spelling/)
  assert.deepEqual(new Set(report.checks.slice(1).map(({ state }) => state)), new Set(['skipped']))
  assert.deepEqual(
    report.checks.map(({ name }) => name),
    ['name', 'outbound', 'proxy', 'route', 'tls', 'api', 'kind', 'clock', 'limits', 'login', 'pull', 'push'],
  )
  assert.equal(report.scheme, null)
})

test('a one-word host is taken for a namespace that somebody forgot the registry of', async (t) => {
  const report = await ping(t, 'team', { lookup: nameAt('inner.test', '127.0.0.1') })
  assert.match(found(report, 'name'), /docker\.io\/team/)
})

test('a port at which nobody listens is told with the address that refused', async (t) => {
  const host = `127.0.0.1:${await freePort()}`
  const report = await ping(t, host)
  assert.match(found(report, 'route'), /^failed \| .*127\.0\.0\.1 refuses it \| .*no program listens at this port/)
  assert.equal(states(report)['tls'], 'skipped')
})

test('of several addresses those that are dead are told, and the registry is looked at all the same', async (t) => {
  const { host, server } = await inner(t)
  // Loopback's other addresses have nobody at this port.
  const report = await ping(t, host, { lookup: nameAt('inner.test', '127.0.0.2', '127.0.0.1'), plainHttp: true })
  assert.match(
    found(report, 'route'),
    /^warning \| port \d+ takes connections at 127\.0\.0\.1; 127\.0\.0\.2 refuses it/,
  )
  assert.equal(report.ok, true, JSON.stringify(report))
  assert.deepEqual(server.requests, [])
})

test('an address that may not be contacted is told to nobody, and nothing is sent there', async (t) => {
  let connections = 0
  const listener = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  const port = (await listenOnLoopback(t, listener)).split(':')[1]
  const policy = createOutboundPolicy({ allowed: undefined, named: [], anywhere: false })
  const report = await ping(t, `inner.test:${port}`, { lookup: nameAt('inner.test', '127.0.0.1'), policy })
  assert.match(found(report, 'name'), /^ok \| inner\.test is known$/)
  assert.match(found(report, 'outbound'), /^failed \| .*may not be contacted \| .*LAYERD_ALLOW_PRIVATE/)
  assert.doesNotMatch(JSON.stringify(report), /127\.0\.0\.1/)
  assert.equal(connections, 0)
})

test('a registry that speaks plain HTTP is told as that where TLS is wanted', async (t) => {
  const { host, lookup, server } = await inner(t)
  const report = await ping(t, host, { lookup })
  assert.match(found(report, 'tls'), /^failed \| it speaks plain HTTP, not TLS \| .*LAYERD_PLAIN_HTTP_REGISTRIES/)
  assert.equal(states(report)['api'], 'skipped')
  assert.deepEqual(server.requests, [])
})

test('plain HTTP is warned of where it may be spoken, but on this machine', async (t) => {
  const { host, lookup, server } = await inner(t)
  const report = await ping(t, host, { lookup, plainHttp: true })
  assert.match(found(report, 'tls'), /^warning \| .*in clear/)
  assert.deepEqual([report.scheme, report.ok], ['http', true])
  const here = await ping(t, server.host)
  assert.deepEqual([states(here)['tls'], here.scheme, here.ok], ['ok', 'http', true])
})

const good = createCertificate(['inner.test'], { to: inDays(30) })
const nearlySpent = createCertificate(['inner.test'], { to: inDays(3) })
const spent = createCertificate(['inner.test'], { from: inDays(-9), to: inDays(-3) })
const early = createCertificate(['inner.test'], { from: inDays(3), to: inDays(9) })
const others = createCertificate(['one.test', 'two.test'])
const unknown = createCertificate(['inner.test'])
const allWrong = createCertificate(['one.test'], { from: inDays(-9), to: inDays(-3) })
const believed = new Set([good, nearlySpent, spent, early, others])

/** One at a time: all of them are signed by one name. */
function believe(t: TestContext, certificate: TestCertificate): void {
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, certificate.certPem])
  t.after(() => setDefaultCACertificates(before))
}

const day = (date: Date) => date.toISOString().slice(0, 10)

for (const [what, certificate, expected] of [
  ['holds', good, [`ok | TLSv1.3, certificate for inner.test from "layerd test", until ${day(inDays(30))}`]],
  ['runs out soon', nearlySpent, ['warning', 'It runs out in 2 days']],
  ['has expired', spent, ['failed | the certificate has expired on', day(inDays(-3)), 'has to renew it']],
  ['does not hold yet', early, ['failed | the certificate holds from', "Check this machine's clock"]],
  ['is for other names', others, ['failed | the certificate does not name inner.test', 'for one.test, two.test']],
  ['is signed by nobody known', unknown, ['failed', 'nobody that this machine believes', 'SSL_CERT_FILE']],
  [
    'has everything wrong with it',
    allWrong,
    [
      'has expired on',
      'does not name inner.test',
      'for one.test',
      'has to renew it',
      'a name that the certificate holds',
    ],
  ],
] as const) {
  test(`a certificate that ${what}`, async (t) => {
    const { host, lookup } = await inner(t, certificate)
    if (believed.has(certificate)) believe(t, certificate)
    const report = await ping(t, host, { lookup })
    for (const text of expected) assert.ok(found(report, 'tls').includes(text), found(report, 'tls'))
    const holds = certificate === good || certificate === nearlySpent
    assert.deepEqual([report.ok, report.scheme], holds ? [true, 'https'] : [false, null])
  })
}

test('a port that speaks neither TLS nor HTTP is told as that', async (t) => {
  const listener = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.resume().end('220 mail.test ESMTP ready\r\n')
  })
  const report = await ping(t, await listenOnLoopback(t, listener))
  assert.match(found(report, 'tls'), /^failed \| .*does not speak TLS/)
  assert.equal(report.ok, false)
})

/** Takes connections and says nothing. */
async function silent(t: Cleanup): Promise<{ host: string; open: () => number }> {
  let open = 0
  const listener = createServer((socket) => {
    open += 1
    socket.on('error', () => undefined).once('close', () => (open -= 1))
    socket.resume()
  })
  return { host: await listenOnLoopback(t, listener), open: () => open }
}

test('a port that says nothing costs the time that there is, and no more', async (t) => {
  const { host } = await silent(t)
  const report = await ping(t, host, { withinMs: 500 })
  assert.match(found(report, 'tls'), /^failed \| there was no answer within 1 s \| .*firewall/)
  assert.equal(report.ok, false)
})

test('a caller who goes ends it', async (t) => {
  const { host } = await silent(t)
  const gone = new AbortController()
  const running = ping(t, host, { signal: gone.signal })
  setTimeout(() => gone.abort(new Error('gone')), 100)
  await assert.rejects(running)
})

test('what goes through a proxy is looked at through it, and the proxy is named by its setting alone', async (t) => {
  const { server, host } = await inner(t, good)
  believe(t, good)
  const proxy = await startConnectProxy(t, server.host)
  const report = await ping(t, host, { proxy: { https: `http://user:hidden@${proxy.host}` } })
  assert.deepEqual([report.ok, report.scheme], [true, 'https'], JSON.stringify(report))
  assert.deepEqual(new Set(proxy.tunnels), new Set([host]))
  assert.match(found(report, 'proxy'), /HTTPS_PROXY/)
  assert.doesNotMatch(JSON.stringify(report), /hidden/)
  assert.deepEqual([states(report)['name'], states(report)['route'], states(report)['tls']], Array(3).fill('skipped'))
})
