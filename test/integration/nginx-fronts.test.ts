import { parseDigest } from '../../src/content/digest.ts'
import assert from 'node:assert/strict'
import { after, beforeEach, describe, test, type TestContext } from 'node:test'
import tls from 'node:tls'
import { OCTET_STREAM } from '../../src/content/media-types.ts'
import { parseDestination } from '../../src/content/reference.ts'
import { fixedCredentials } from '../../src/oci/credentials/fixed.ts'
import { createCertificate } from '../helpers/network/certificate.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { digestOfStream } from '../helpers/packages/packages.ts'
import { publishTo, registryClient } from '../helpers/packages/publishing.ts'
import { pullFrom } from '../helpers/packages/pulling.ts'
import { skipWithout } from '../helpers/processes/real-tools.ts'
import { type RegistryProgram, registryPrograms, startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { type NginxFront, type NginxFrontOptions, startNginxFront } from '../helpers/registries/nginx-front.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()
const certificate = createCertificate()
const known = tls.getCACertificates('default')

interface Front extends NginxFrontOptions {
  name: string
  /** Shows that the front did what it is here for. */
  met?: (seen: { log: string[]; front: NginxFront; digest: string }) => void | Promise<void>
  /** Before each registry that is here, as what they make of it differs. Default: the first. */
  all?: boolean
  /** Whether the layers are sent again by a republish, as nobody can ask for them. */
  blind?: boolean
}

const NO_LIMIT = 'client_max_body_size 0;'
const GZIP = 'gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;'
const LOGIN = { username: 'ann', password: 'secret of ann' }

/** How many requests of the log were answered so. */
const answered = (log: readonly string[], status: number, method = '') =>
  log.filter((line) => line.startsWith(method) && line.endsWith(` ${status}`)).length

const limited = (status: number): Front => ({
  name: `30 requests a second, above that ${status}`,
  http: ['limit_req_zone $binary_remote_addr zone=all:1m rate=30r/s;'],
  server: [NO_LIMIT, 'limit_req zone=all burst=4 nodelay;', `limit_req_status ${status};`],
  met: ({ log }) => assert.ok(answered(log, status) > 0),
})

const bounded = (size: number): Front => ({
  name: `bodies of ${size} MiB at most, over TLS`,
  tls: certificate,
  all: true,
  server: [`client_max_body_size ${size}m;`],
  met: ({ log }) => assert.ok(answered(log, 413, 'PATCH') > 0),
})

const FRONTS: readonly Front[] = [
  { name: 'TLS by a CA of its own', tls: certificate, server: [NO_LIMIT] },
  bounded(1),
  bounded(10),
  { name: 'bodies that nginx keeps until they are whole', server: [NO_LIMIT, 'proxy_request_buffering on;'] },
  { name: 'bodies that nginx hands on as they come', server: [NO_LIMIT, 'proxy_request_buffering off;'] },
  limited(503),
  limited(429),
  {
    name: 'gzip for all who ask',
    server: [NO_LIMIT, GZIP],
    async met({ front, digest }) {
      const options = { headers: { 'accept-encoding': 'gzip', accept: '*/*' } }
      const answer = await fetch(`${front.url}/v2/team/sample/manifests/${digest}`, options)
      assert.equal(answer.headers.get('content-encoding'), 'gzip')
    },
  },
  {
    name: 'connections of three requests and a second',
    server: [NO_LIMIT, 'keepalive_requests 3; keepalive_timeout 1;'],
  },
  {
    name: 'TLS, of which the registry is told neither port nor scheme',
    tls: certificate,
    all: true,
    server: [NO_LIMIT],
    headers: { Host: '$host' },
    async met({ front }) {
      const opened = await fetch(`${front.url.replace('https', 'http')}/`).catch(() => undefined)
      assert.equal(opened?.status, 400, 'nginx speaks TLS alone on this port')
    },
  },
  {
    name: 'HEAD and DELETE refused',
    server: [NO_LIMIT, 'if ($request_method ~ ^(HEAD|DELETE)$) { return 405; }'],
    blind: true,
    met: ({ log }) => assert.ok(answered(log, 405, 'HEAD') > 0),
  },
  {
    name: 'Basic at nginx',
    server: [NO_LIMIT],
    htpasswd: `${LOGIN.username}:{PLAIN}${LOGIN.password}\n`,
    met: ({ log }) => assert.ok(answered(log, 401) > 0),
  },
]

describe('packages go through an nginx with', { concurrency: 2 }, () => {
  beforeEach(() => tls.setDefaultCACertificates([...known, certificate.certPem]))
  after(() => tls.setDefaultCACertificates(known))
  const [first, ...others] = registryPrograms()
  for (const front of FRONTS) {
    for (const program of [first, ...(front.all === true ? others : [])]) {
      test(`${front.name}, before ${program ?? 'a registry'}`, async (t) => {
        if (skipWithout(t, 'nginx', program ?? 'docker-registry')) return
        await roundTrip(t, program, front)
      })
    }
  }
})

test('gzip around everything, asked or not: a package goes up, and what is wrong with its blobs is said', async (t) => {
  if (skipWithout(t, 'nginx', registryPrograms()[0] ?? 'docker-registry')) return
  const registry = await startDockerRegistry(t)
  const packing = await startNginxFront(t, registry.host, { server: [NO_LIMIT, GZIP] })
  const asking = { Host: '$http_host', 'Accept-Encoding': 'gzip' }
  const { host } = await startNginxFront(t, packing.host, { server: [NO_LIMIT], headers: asking })
  const built = await buildPackage(await tempDir(t), { layers: 2, layerBytes: [9 * MIB, 1000], format: 'tar' })
  const client = registryClient(t)
  const { outcome } = await publishTo(t, built.path, parseDestination(`${host}/team`), { client })
  await assert.rejects(pullFrom(t, outcome.reference, { client, architecture: 'amd64' }), {
    code: 'REGISTRY_PROTOCOL_VIOLATION',
    retry: 'permanent',
    hint: 'A proxy before the registry compresses: turn that off there for /v2/.',
  })
  const past = await pullFrom(t, `${registry.host}/team/sample:1.0.0`, { client, architecture: 'amd64' })
  assert.equal(past.outcome.digest, outcome.digest)
})

async function roundTrip(t: TestContext, program: RegistryProgram | undefined, wanted: Front): Promise<void> {
  const registry = await startDockerRegistry(t, program ? { program } : {})
  const front = await startNginxFront(t, registry.host, wanted)
  // A layer on each side of what fits into a POST and PUT, and small ones.
  const sizes = [11 * MIB, 3 * MIB, 1000, 1000, 1000]
  const built = await buildPackage(await tempDir(t), { layers: sizes.length, layerBytes: sizes, format: 'tar' })
  const client = registryClient(t, fixedCredentials(front.host, LOGIN))
  const destination = parseDestination(`${front.host}/team`)
  const published = await publishTo(t, built.path, destination, { client })
  const again = await publishTo(t, built.path, destination, { client })
  assert.equal(again.outcome.indexDigest, published.outcome.indexDigest)
  const sent = again.events.filter(({ type }) => type === 'complete').length
  assert.equal(sent > 0, wanted.blind === true, `${sent} layers were sent again`)
  const { outcome, store } = await pullFrom(t, published.outcome.reference, { client, architecture: 'amd64' })
  assert.equal(outcome.digest, published.outcome.digest)
  for (const { digest: text, size, path } of built.files) {
    const digest = parseDigest(text)
    const stored = await store.open({ mediaType: OCTET_STREAM, digest, size }, { signal })
    assert.equal((await digestOfStream(stored)).digest, digest, path)
  }
  await wanted.met?.({ log: front.requests(), front, digest: published.outcome.digest })
}
