import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { OpenedFile } from '../../src/content/opened.ts'
import type { AppError } from '../../src/lib/errors.ts'
import { createOutboundPolicy, createRegistryConnections, type OutboundPolicy } from '../../src/oci/connections.ts'
import { openRemoteFile } from '../../src/web/remote-file.ts'
import { openPackage } from '../../src/zarf/package.ts'
import { startWebServer, type WebFile, type WebServer } from '../helpers/network/web-server.ts'

const MIB = 1024 * 1024
const QUICK = { attempts: 3, baseMs: 1, maxMs: 1, maxRetryAfterMs: 10 }
const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const BYTES = randomBytes(5 * MIB + 123)
const NAME = '/files/zarf-package-x-amd64-1.tar.zst'

interface Opening {
  file?: Partial<WebFile>
  path?: string
  sha256?: string
  policy?: OutboundPolicy
}

async function bed(t: TestContext, file: Partial<WebFile> = {}): Promise<{ server: WebServer; file: WebFile }> {
  const server = await startWebServer(t)
  const offered = { bytes: BYTES, etag: '"one"', ...file }
  server.paths.set(NAME, offered)
  return { server, file: offered }
}

function open(t: TestContext, server: WebServer, { path = NAME, sha256 = sha256Of(BYTES), policy }: Opening = {}) {
  const connections = createRegistryConnections({ version: 'test', ...(policy ? { policy } : {}) })
  t.after(() => connections[Symbol.asyncDispose]())
  const url = new URL(`${server.url}${path}`)
  const transport = connections.transport(url.host, { credential: undefined, plainHttp: false })
  const { signal } = new AbortController()
  return openRemoteFile({ url, sha256, transport, signal, retry: QUICK })
}

async function readThrough(file: OpenedFile, range: { start?: number; end?: number } = {}): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of file.stream({ ...range, signal: new AbortController().signal }))
    chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

for (const ranges of [true, false]) {
  test(`a file of a server ${ranges ? 'with' : 'without'} ranges is read whole and in parts`, async (t) => {
    const { server } = await bed(t, { ranges })
    const file = await open(t, server)
    assert.equal(file.size, BYTES.length)
    assert.ok((await readThrough(file)).equals(BYTES))
    assert.ok((await readThrough(file, { start: MIB - 5, end: 3 * MIB })).equals(BYTES.subarray(MIB - 5, 3 * MIB)))
    assert.ok((await file.read(Buffer.alloc(18), 0)).equals(BYTES.subarray(0, 18)))
    assert.ok(server.requests.every(({ headers }) => headers.authorization === undefined && !headers.cookie))
  })

  test(`a connection that breaks is gone on ${ranges ? 'by Range' : 'from the start'}`, async (t) => {
    const { server, file: offered } = await bed(t, { ranges })
    const file = await open(t, server)
    Object.assign(offered, ranges ? { cutAfter: 2 * MIB } : { cutAfter: 4 * MIB, cuts: 1 })
    assert.ok((await readThrough(file)).equals(BYTES))
    const asked = server.requests.filter(({ path }) => path === NAME).map(({ headers }) => headers.range)
    const rest = [`bytes=${MIB}-`, `bytes=${3 * MIB}-`, `bytes=${5 * MIB}-`]
    assert.deepEqual(asked, ['bytes=0-1048575', ...(ranges ? rest : [undefined, undefined])])
    const conditions = server.requests.slice(2).map(({ headers }) => headers['if-range'])
    assert.deepEqual(new Set(conditions), new Set([ranges ? '"one"' : undefined]))
  })
}

test('a file that changes while it is read is told so, by ETag, date or size', async (t) => {
  const changes: Array<[what: string, before: Partial<WebFile>, after: Partial<WebFile>]> = [
    ['ETag', {}, { etag: '"two"' }],
    ['a weak ETag', { etag: 'W/"one"' }, { etag: 'W/"two"' }],
    ['date', { modified: 'Mon, 30 Nov 2026 00:00:00 GMT' }, { modified: 'Mon, 30 Nov 2026 01:00:00 GMT' }],
    ['size', { modified: 'x' }, { modified: 'x', bytes: BYTES.subarray(0, 4 * MIB) }],
    ['size, to less than was read', { modified: 'x' }, { modified: 'x', bytes: BYTES.subarray(0, 10) }],
    ['ETag, without ranges', { etag: '"one"', ranges: false }, { etag: '"two"', ranges: false }],
  ]
  for (const [what, before, after] of changes) {
    await t.test(what, async (t) => {
      const server = await startWebServer(t)
      server.paths.set(NAME, {
        bytes: BYTES,
        ...('etag' in before || 'modified' in before ? {} : { etag: '"one"' }),
        ...before,
      })
      const file = await open(t, server)
      server.paths.set(NAME, { bytes: randomBytes(BYTES.length), ...after })
      await assert.rejects(readThrough(file), { code: 'PACKAGE_CHANGED', message: /changed while it was being read/ })
    })
  }
})

test('other bytes than were promised are never read to their end', async (t) => {
  const { server } = await bed(t)
  const file = await open(t, server, { sha256: 'a'.repeat(64) })
  await assert.rejects(readThrough(file), {
    code: 'PACKAGE_CHECKSUM_MISMATCH',
    message: new RegExp(`has the SHA-256 ${sha256Of(BYTES)}; the job says a{64}`),
  })
})

test('what is no file, or hostile, is refused in few requests', async (t) => {
  const { server } = await bed(t)
  const loop = `${server.url}/loop/x.tar`
  const cases: Array<
    [what: string, answer: WebFile | Parameters<WebServer['paths']['set']>[1], code: string, message: RegExp]
  > = [
    [
      'HTML',
      { bytes: BYTES, headers: { 'content-type': 'text/html; charset=utf-8' } },
      'PACKAGE_UNREADABLE',
      /is a web page/,
    ],
    [
      'gzip',
      { bytes: gzipSync(BYTES), headers: { 'content-encoding': 'gzip' } },
      'PACKAGE_UNREADABLE',
      /Content-Encoding: gzip/,
    ],
    ['endless', (_, response) => endless(response), 'PACKAGE_UNREADABLE', /without saying how long/],
    ['empty', { bytes: Buffer.alloc(0) }, 'PACKAGE_UNREADABLE', /is empty/],
    [
      'shorter than said',
      (_, response) => void response.writeHead(200, { 'content-length': '9999' }).write('x', () => response.destroy()),
      'REGISTRY_CONNECTION_LOST',
      /./,
    ],
    ['gone', (_, response) => void response.writeHead(410).end(), 'PACKAGE_NOT_FOUND', /answered 410/],
    [
      'a login',
      (_, response) => void response.writeHead(401, { 'www-authenticate': 'Basic' }).end(),
      'REGISTRY_DENIED',
      /not for everybody/,
    ],
    ['204', (_, response) => void response.writeHead(204).end(), 'PACKAGE_UNREADABLE', /answered with 204/],
    [
      'a ring',
      (_, response) => void response.writeHead(302, { location: loop }).end(),
      'REGISTRY_PROTOCOL_VIOLATION',
      /redirects more than/,
    ],
    [
      'file:',
      (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
      'REGISTRY_NOT_ALLOWED',
      /./,
    ],
    [
      'plain http',
      (_, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/x.tar' }).end(),
      'REGISTRY_NOT_ALLOWED',
      /./,
    ],
    [
      'metadata',
      (_, response) => void response.writeHead(302, { location: 'https://169.254.169.254/x.tar' }).end(),
      'REGISTRY_NOT_ALLOWED',
      /./,
    ],
    [
      'other bytes',
      (_, response) =>
        void response.writeHead(206, { 'content-range': 'bytes 5-9/100', 'content-length': '5' }).end('fives'),
      'PACKAGE_UNREADABLE',
      /other bytes/,
    ],
  ]
  server.paths.set('/loop/x.tar', (_, response) => void response.writeHead(302, { location: loop }).end())
  for (const [what, answer, code, message] of cases) {
    await t.test(what, async (t) => {
      server.paths.set('/bad/x.tar', answer)
      const before = server.requests.length
      await assert.rejects(open(t, server, { path: '/bad/x.tar' }), (error: AppError) => {
        assert.equal(error.code, code, error.message)
        assert.match(error.message, message)
        return true
      })
      assert.ok(server.requests.length - before <= 8, String(server.requests.length - before))
    })
  }
})

test('a package that begins with frames of nothing is not asked after for long', async (t) => {
  const server = await startWebServer(t)
  const bytes = Buffer.alloc(2 * MIB)
  for (let at = 0; at < bytes.length; at += 1024) {
    bytes.writeUInt32LE(0x184d2a50, at)
    bytes.writeUInt32LE(1016, at + 4)
  }
  server.paths.set(NAME, { bytes, etag: '"one"' })
  const file = await open(t, server, { sha256: sha256Of(bytes) })
  const { signal } = new AbortController()
  const opening = openPackage({ fileName: 'x.tar.zst', file, sequential: true }, { signal })
  await assert.rejects(opening, { code: 'PACKAGE_INVALID', message: /too many zstd frames/ })
})

test('a file behind redirects is read, and a private server only where it may be', async (t) => {
  const { server } = await bed(t)
  server.paths.set(
    '/latest/x.tar.zst',
    (_, response) => void response.writeHead(302, { location: `${server.url}${NAME}` }).end(),
  )
  assert.ok((await readThrough(await open(t, server, { path: '/latest/x.tar.zst' }))).equals(BYTES))
  const policy = createOutboundPolicy({ allowed: undefined, named: [], anywhere: false })
  await assert.rejects(open(t, server, { policy }), { code: 'REGISTRY_NOT_ALLOWED' })
})

/** Chunked, and never done. */
function endless(response: Parameters<Exclude<Parameters<WebServer['paths']['set']>[1], WebFile>>[1]): void {
  response.writeHead(200)
  const more = (): void => {
    if (!response.destroyed) response.write(randomBytes(64 * 1024), () => setImmediate(more))
  }
  more()
}
