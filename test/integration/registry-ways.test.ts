import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import type { Registry } from '../../src/http/schemas/registry.ts'
import { createRegistryRecords } from '../../src/jobs/registries/registry-records.ts'
import { createOutboundPolicy } from '../../src/oci/connections.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'

/** How a registry is reached, as /v1/registries keeps it: CA, client certificate, proxy. */

const PASSWORD = 'a-password-of-ann'
const credentials = { username: 'ann', password: PASSWORD }
const [ca, other, client] = ['one CA', 'another CA', 'client'].map((commonName) =>
  createCertificate(undefined, { commonName }),
) as [Made, Made, Made]
type Made = ReturnType<typeof createCertificate>
const clientCertificate = { certificate: client.certPem, key: client.keyPem }
const ANY = { 'if-match': '*' }
const KEY = '{layerd}:registries'

const at = (host: string) => `/v1/registries/${encodeURIComponent(host)}`
const put = ({ app }: TestApp, host: string, payload: object, headers: Record<string, string> = ANY) =>
  app.inject({ method: 'PUT', url: at(host), payload, headers })

test('certificates are shown with what is in them, and the key of one is shown nowhere', async (t) => {
  const bed = await startApp(t)
  const both = `The company's:\n${ca.certPem}\n${other.certPem}`
  const made = await put(bed, 'a.example', { ca: both, clientCertificate, credentials }, {})
  assert.equal(made.statusCode, 201, made.body)
  const read = (await bed.app.inject(at('a.example'))).json<Registry>()
  const [first, second] = read.ca ?? []
  const { fingerprint256, validToDate } = new X509Certificate(ca.certPem)
  assert.deepEqual(first, {
    subject: 'CN=one CA',
    issuer: 'CN=one CA',
    notAfter: validToDate.toISOString(),
    sha256: fingerprint256,
    pem: ca.certPem,
  })
  assert.equal(second?.subject, 'CN=another CA')
  assert.deepEqual(
    read.clientCertificate?.map(({ subject }) => subject),
    ['CN=client'],
  )
  const written = JSON.stringify(await bed.jobs.raw.hgetall(KEY))
  const secret = client.keyPem.split('\n')[1] ?? ''
  for (const text of [made.body, JSON.stringify(read), written]) {
    assert.ok(!text.includes('PRIVATE KEY'))
    assert.ok(!text.includes(secret.slice(0, 20)))
  }
})

test('what cannot be used as CA or client certificate is refused with the reason', async (t) => {
  const bed = await startApp(t)
  const broken = ca.certPem.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')
  const encrypted = client.key
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
    .toString()
  for (const [body, pointer, why] of [
    [{ ca: 'no certificate' }, '/ca', /holds no certificate/],
    [{ ca: ca.certPem + broken }, '/ca', /certificate 2 of 2 cannot be read/],
    [{ ca: ca.certPem + client.keyPem }, '/ca', /a private key stands where certificates alone/],
    [{ ca: ca.certPem.repeat(33) }, '/ca', /33 certificates, more than 32/],
    [
      { clientCertificate: { certificate: 'x', key: client.keyPem } },
      '/clientCertificate/certificate',
      /no certificate/,
    ],
    [{ clientCertificate: { ...clientCertificate, key: 'x' } }, '/clientCertificate/key', /cannot be read/],
    [{ clientCertificate: { ...clientCertificate, key: encrypted } }, '/clientCertificate/key', /encrypted/],
    [{ clientCertificate: { ...clientCertificate, key: ca.keyPem } }, '/clientCertificate/key', /does not belong/],
    [
      { clientCertificate: { certificate: ca.certPem + client.certPem, key: client.keyPem } },
      '/clientCertificate/key',
      /belongs to certificate 2 of the chain/,
    ],
  ] as const) {
    const answer = await put(bed, 'a.example', body, {})
    const { code, detail, errors } = answer.json()
    assert.equal(code, 'BODY_INVALID', answer.body)
    assert.match(detail, why)
    assert.equal(errors[0].pointer, pointer)
    assert.ok(!answer.body.includes((client.keyPem.split('\n')[1] ?? '').slice(0, 20)), answer.body)
  }
  assert.equal(
    (await put(bed, 'a.example', { clientCertificate: { certificate: client.certPem } }, {})).statusCode,
    400,
  )
})

test('another CA wants credentials and the client certificate again', async (t) => {
  const bed = await startApp(t)
  const pointerOf = async (body: object) => {
    const answer = await put(bed, 'a.example', body)
    return answer.statusCode === 200 ? 200 : answer.json().errors[0].pointer
  }
  assert.equal((await put(bed, 'a.example', { ca: ca.certPem, credentials, clientCertificate }, {})).statusCode, 201)
  assert.equal(await pointerOf({ ca: ca.certPem, repositories: ['team/*'] }), 200)
  assert.equal(await pointerOf({ ca: other.certPem }), '/credentials')
  assert.equal(await pointerOf({}), '/credentials')
  assert.equal(await pointerOf({ ca: other.certPem, credentials }), '/clientCertificate')
  assert.equal(await pointerOf({ ca: ca.certPem, plainHttp: true, credentials }), '/clientCertificate')
  const kept = (await bed.app.inject(at('a.example'))).json<Registry>()
  assert.equal(kept.ca?.[0]?.subject, 'CN=one CA')
  assert.equal(kept.clientCertificate?.[0]?.subject, 'CN=client')
  assert.equal(await pointerOf({ ca: other.certPem, credentials, clientCertificate }), 200)
  assert.equal(await pointerOf({ ca: other.certPem, clientCertificate: null }), 200)
  assert.equal((await bed.app.inject(at('a.example'))).json<Registry>().clientCertificate, null)
  assert.equal(await pointerOf({ credentials: null }), 200)
  assert.equal(await pointerOf({ ca: ca.certPem }), 200)
})

test('who can write to Redis makes no way up, and moves no secret to another one', async (t) => {
  const bed = await startApp(t)
  await put(bed, 'a.example', { ca: ca.certPem, credentials, clientCertificate }, {})
  await put(bed, 'plain.example', { credentials }, {})
  const records = createRegistryRecords({ ...bed.jobs.options, role: 'worker' })
  t.after(() => records.close())
  await records.refresh()
  const right = records.known('a.example')
  assert.ok(right)
  assert.equal(records.waySecretsOf(right).key, client.keyPem)
  assert.deepEqual(records.secretOf(right), { kind: 'basic', ...credentials })
  const text = async (host: string) => JSON.parse((await bed.jobs.raw.hget(KEY, host)) ?? '')
  const [whole, plain] = [await text('a.example'), await text('plain.example')]
  for (const [name, record] of Object.entries({
    'another CA': { ...whole, way: { ...whole.way, ca: other.certPem } },
    'another certificate': { ...whole, way: { ...whole.way, clientCertificate: other.certPem } },
    'nothing sealed': { ...whole, sealedWay: null },
    'a CA where none was': { ...plain, host: 'a.example', way: whole.way, sealedWay: null },
  })) {
    await bed.jobs.raw.hset(KEY, { '': name, 'a.example': JSON.stringify(record) })
    await records.refresh()
    const changed = records.known('a.example')
    assert.ok(changed)
    assert.throws(() => records.waySecretsOf(changed), { code: 'CREDENTIALS_INVALID' }, name)
  }
  // Taken away, the common way remains: without what was given for the other.
  const { way: _way, sealedWay: _sealedWay, ...bare } = whole
  await bed.jobs.raw.hset(KEY, { '': 'bare', 'a.example': JSON.stringify(bare) })
  await records.refresh()
  const changed = records.known('a.example')
  assert.ok(changed)
  assert.throws(() => records.secretOf(changed), { code: 'CREDENTIALS_INVALID' })
})

test('a proxy is shown without its password, which stays as long as the way does', async (t) => {
  const bed = await startApp(t)
  const proxy = 'http://pat:proxy-secret@proxy.example:3128/'
  const shown = 'http://pat@proxy.example:3128/'
  const pointerOf = async (body: object) => {
    const answer = await put(bed, 'a.example', body)
    assert.ok(!answer.body.includes('proxy-secret'))
    return answer.statusCode === 200 ? 200 : answer.json().errors[0].pointer
  }
  const secret = async () => {
    const record = await bed.registries.get('a.example')
    return record && bed.registries.waySecretsOf(record).proxy
  }
  assert.equal((await put(bed, 'a.example', { proxy, credentials }, {})).statusCode, 201)
  const read = await bed.app.inject(at('a.example'))
  assert.equal(read.json<Registry>().proxy, shown)
  assert.ok(!JSON.stringify(await bed.jobs.raw.hgetall(KEY)).includes('proxy-secret'))
  assert.equal(await secret(), proxy)

  // As it was read.
  assert.equal(await pointerOf({ proxy: shown, repositories: ['team/*'] }), 200)
  assert.equal(await secret(), proxy)
  assert.equal(await pointerOf({ proxy: shown, ca: ca.certPem }), '/credentials')
  assert.equal(await pointerOf({ proxy: shown, ca: ca.certPem, credentials }), '/proxy')
  assert.equal(await pointerOf({ proxy: 'http://pat@other.example:3128' }), '/credentials')
  assert.equal(await pointerOf({ proxy: 'http://pat@other.example:3128', credentials }), 200)
  assert.equal(await secret(), 'http://pat@other.example:3128/')
  assert.equal(await pointerOf({}), '/credentials')
  assert.equal(await pointerOf({ proxy: 'DIRECT', credentials }), 200)
  assert.equal((await bed.app.inject(at('a.example'))).json<Registry>().proxy, 'direct')
  assert.equal(await pointerOf({ credentials: null }), 200)
  assert.equal((await bed.app.inject(at('a.example'))).json<Registry>().proxy, null)
})

test('a proxy is read as HTTPS_PROXY is, and a wrong one is refused in the same words', async (t) => {
  const bed = await startApp(t)
  const shown: unknown[] = []
  for (const proxy of ['proxy.example:3128', 'https://proxy.example', ' http://[fd00::1]:3128 ']) {
    shown.push((await put(bed, `${shown.length}.example`, { proxy }, {})).json<Registry>().proxy)
  }
  assert.deepEqual(shown, ['http://proxy.example:3128/', 'https://proxy.example/', 'http://[fd00::1]:3128/'])
  for (const [proxy, why] of [
    ['socks5://proxy.example', /must be host:port, or a URL that begins with http/],
    ['http://pat:a#secret@proxy.example:3128', /must be written %23, %2F or %3F/],
    ['http://pat:100%secret@proxy.example', /must be written %25/],
    ['none at all', /must be host:port/],
  ] as const) {
    const answer = await put(bed, 'a.example', { proxy }, {})
    const { code, detail, hint, errors } = answer.json()
    assert.equal(code, 'BODY_INVALID', answer.body)
    assert.match(detail, why)
    assert.match(hint, /"direct" is none at all/)
    assert.equal(errors[0].pointer, '/proxy')
    assert.ok(!answer.body.includes('secret'), answer.body)
  }
})

test('a mirror is another registry, with or without a path, and a change of it wants the credentials again', async (t) => {
  const policy = createOutboundPolicy({ allowed: ['a.example', 'mirror.example'], named: [], anywhere: true })
  const bed = await startApp(t, { mayName: policy.check, mayKeep: (registry) => void policy.reach(registry) })
  const made = await put(bed, 'a.example', { mirror: 'OCI://Mirror.example/hub/', credentials }, {})
  assert.equal(made.json<Registry>().mirror, 'mirror.example/hub')
  const refused = await put(bed, 'a.example', { mirror: 'mirror.example' })
  assert.equal(refused.json().errors[0].pointer, '/credentials')
  for (const [mirror, code] of [
    ['a.example', 'BODY_INVALID'],
    ['A.example/hub', 'BODY_INVALID'],
    ['b.example', 'REGISTRY_NOT_ALLOWED'],
    ['mirror.example/hub:1.0.0', 'REFERENCE_INVALID'],
    ['https://mirror.example', 'REFERENCE_INVALID'],
    ['mirror.example/Hub', 'REFERENCE_INVALID'],
  ] as const) {
    const answer = await put(bed, 'a.example', { mirror, credentials })
    assert.equal(answer.json().code, code, answer.body)
    assert.equal(answer.json().errors[0].pointer, '/mirror', answer.body)
  }
})
