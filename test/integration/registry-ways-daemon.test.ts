import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Job } from '../../src/jobs/model/definitions.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { startConnectProxy } from '../helpers/network/connect-proxy.ts'
import { listenOnLoopback } from '../helpers/network/listening.ts'
import { startTlsFront } from '../helpers/network/tls-front.ts'
import { FIXTURES } from '../helpers/packages/fixtures.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { endedOver, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { startRedis } from '../helpers/redis/redis.ts'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { tempDir } from '../helpers/temp-dir.ts'

/** A daemon, and registries that are reached by what is kept of them alone. */
async function daemon(t: TestContext, env: Record<string, string> = {}) {
  const redis = await startRedis(t, { tcp: true })
  const layerd = await startLayerd(t, {
    dataDir: await tempDir(t),
    env: {
      LAYERD_REDIS_URL: redis.url,
      LAYERD_FILE_ROOTS: dirname(FIXTURES.nemoAmd64),
      LAYERD_LOG_LEVEL: 'trace',
      LAYERD_WORKERS: '1',
      DOCKER_CONFIG: await tempDir(t),
      ...env,
    },
  })
  const api = await readyUrl(layerd)
  const told: string[] = []
  const call = async (method: string, path: string, body?: object, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${api}${path}`, {
      method,
      headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...headers },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await answer.text()
    told.push(text)
    return { status: answer.status, text }
  }
  const job = async (body: object): Promise<Job> => {
    const { status, text } = await call('POST', '/v1/jobs', body)
    assert.equal(status, 202, text)
    const ended = await endedOver(api, (JSON.parse(text) as Job).id)
    await call('GET', `/v1/jobs/${ended.id}/logs`)
    return ended
  }
  const run = async (argv: readonly string[], input = '') => {
    const { terminal, out, err } = pipeTerminal(api)
    const stdin = (async function* () {
      yield input
    })()
    return { exit: await runCommand(argv, { ...terminal, stdin }), out: out(), err: err() }
  }
  /** All that was said and written. */
  const everything = async (): Promise<string> => {
    const entries = await readdir(dirname(redis.socketPath), { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((file) => join(file.parentPath, file.name))
    const written = await Promise.all(files.map((file) => readFile(file, 'latin1')))
    return [...told, layerd.output(), ...written].join('\n')
  }
  return { call, job, run, everything }
}

test('a registry with a CA of its own that wants a client certificate is published to and pulled from once both are kept', async (t) => {
  const password = 'Kept-pa55word-of-ann'
  const registry = await startDockerRegistry(t, { htpasswd: { user: 'ann', password } })
  const [ca, client] = [createCertificate(), createCertificate(['client'], { commonName: 'the client' })]
  const host = await startTlsFront(t, registry.host, ca, client)
  const folder = await tempDir(t)
  const [caFile, certFile, keyFile] = ['ca.pem', 'client.pem', 'client.key'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  await Promise.all([
    writeFile(caFile, ca.certPem),
    writeFile(certFile, client.certPem),
    writeFile(keyFile, client.keyPem),
  ])
  const { call, job, run, everything } = await daemon(t)
  const reference = `oci://${host}/team/nemo`
  const publish = () =>
    job({ kind: 'publish', source: `file:${FIXTURES.nemoAmd64}`, destination: `oci://${host}/team` })
  const login = (...words: string[]) => run(['login', host, '-u', 'ann', ...words], `${password}\n`)

  const unknown = (await publish()).error
  assert.equal(unknown?.code, 'REGISTRY_TLS')
  assert.match(unknown?.hint ?? '', /"ca" of the registry/)
  // What is asked before it is kept goes by what is given.
  const bare = await login('--ca', caFile)
  assert.equal(bare.exit, 1, bare.out)
  assert.match(bare.err, /"clientCertificate" of the registry/)
  assert.match(bare.err, /nothing is kept/)
  const whole = await login('--ca', caFile, '--client-cert', certFile, '--client-key', keyFile)
  assert.equal(whole.exit, 0, whole.err)

  const published = await publish()
  assert.equal(published.state, 'succeeded', JSON.stringify(published.error))
  const pulled = await job({
    kind: 'pull',
    source: `${reference}:1.2.0`,
    destination: 'store:',
    options: { architecture: 'amd64' },
  })
  assert.equal(pulled.state, 'succeeded', JSON.stringify(pulled.error))
  const seen = await call('GET', `/v1/remote-packages?ref=${encodeURIComponent(`${reference}:1.2.0`)}`)
  assert.equal(seen.status, 200, seen.text)
  const ping = await run(['ping', `${host}/team/nemo`])
  assert.equal(ping.exit, 0, ping.out)
  assert.match((await run(['registries'])).out, /https +ca, client certificate +none +distribution/)
  // New credentials alone: the rest stays.
  const again = await login()
  assert.equal(again.exit, 0, again.err)
  assert.equal((await publish()).state, 'succeeded')

  const secrets = [password, ...client.keyPem.split('\n').slice(1, 3)]
  const all = await everything()
  for (const secret of secrets) assert.equal(all.includes(secret.slice(0, 40)), false, secret.slice(0, 6))
})

test('a registry is published to through its own proxy, past the one of the environment, from the next job on', async (t) => {
  const registry = await startDockerRegistry(t)
  const [ca, proxy] = [createCertificate(), await startConnectProxy(t, registry.host)]
  const host = await startTlsFront(t, registry.host, ca)
  const through = await startConnectProxy(t, host)
  const { call, job, run, everything } = await daemon(t, { HTTPS_PROXY: `http://${proxy.host}` })
  const publish = () =>
    job({ kind: 'publish', source: `file:${FIXTURES.nemoAmd64}`, destination: `oci://${host}/team` })
  const refusing = createServer((_request, response) => response.writeHead(407).end())
  refusing.on('connect', (_request, socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'))
  const refuses = `http://${await listenOnLoopback(t, refusing)}`
  const path = `/v1/registries/${encodeURIComponent(host)}`
  const keep = async (body: object) => {
    const kept = await call('PUT', path, { ca: ca.certPem, ...body }, { 'if-match': '*' })
    assert.ok(kept.status < 300, kept.text)
  }
  assert.equal((await call('PUT', path, { ca: ca.certPem, proxy: refuses })).status, 201)
  const failed = (await publish()).error
  assert.equal(failed?.code, 'REGISTRY_UNREACHABLE')
  assert.match(failed?.detail ?? '', /the proxy \(\/v1\/registries\/127\.0\.0\.1:\d+ proxy\) answered 407/)
  await keep({ proxy: `http://pat:proxy-secret@${through.host}` })
  const published = await publish()
  assert.equal(published.state, 'succeeded', JSON.stringify(published.error))
  assert.deepEqual(new Set(through.tunnels), new Set([host]))
  const ping = await run(['ping', host])
  assert.match(ping.out, /^ok +proxy +requests go through the proxy that \/v1\/registries\/127/m)
  assert.equal(ping.exit, 0, ping.out)
  const before = through.tunnels.length
  await keep({ proxy: 'direct' })
  assert.equal((await publish()).state, 'succeeded')
  assert.equal(through.tunnels.length, before)
  assert.equal(proxy.tunnels.length, 0)
  assert.ok(!(await everything()).includes('proxy-secret'))
})

test('a pull and a look at a package go to the mirror that is kept for the registry, a publish does not', async (t) => {
  const [registry, mirror] = [await startDockerRegistry(t), await startDockerRegistry(t)]
  const { call, job, run } = await daemon(t)
  const path = `/v1/registries/${encodeURIComponent(registry.host)}`
  const publish = (destination: string) =>
    job({ kind: 'publish', source: `file:${FIXTURES.nemoAmd64}`, destination: `oci://${destination}` })
  const reference = `oci://${registry.host}/team/nemo:1.2.0`
  const pull = () => job({ kind: 'pull', source: reference, destination: 'store:', options: { architecture: 'amd64' } })
  const look = () => call('GET', `/v1/remote-packages?ref=${encodeURIComponent(reference)}&architecture=amd64`)

  assert.equal((await publish(`${mirror.host}/hub/team`)).state, 'succeeded')
  assert.equal((await call('PUT', path, { mirror: `${mirror.host}/hub` })).status, 201)
  // The registry itself has nothing yet.
  const pulled = await pull()
  assert.equal(pulled.state, 'succeeded', JSON.stringify(pulled.error))
  assert.match((await run(['registries'])).out, new RegExp(`mirror ${mirror.host}/hub`))

  assert.equal((await publish(`${registry.host}/team`)).state, 'succeeded')
  assert.equal((await call('PUT', path, { mirror: '127.0.0.1:1' }, { 'if-match': '*' })).status, 200)
  const past = await pull()
  assert.equal(past.state, 'succeeded', JSON.stringify(past.error))
  const logs = await call('GET', `/v1/jobs/${past.id}/logs`)
  assert.match(logs.text, /the mirror 127\.0\.0\.1:1 failed at the manifest 1\.2\.0/)
  assert.equal(logs.text.match(/the mirror /g)?.length, 1)
  assert.equal((await look()).status, 200)
})
