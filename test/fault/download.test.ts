import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pino } from 'pino'
import { RangeIgnored } from '../../src/content/ranges.ts'
import { readAll } from '../../src/content/streams.ts'
import { AppError } from '../../src/lib/errors.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { openRepository, someBytes, testBlob } from '../helpers/registries/oci-client.ts'
import { type ScriptEntry, startScriptedRegistry } from '../helpers/registries/scripted-registry.ts'

const MIB = 1024 * 1024
const signal = new AbortController().signal
const blob = testBlob(someBytes(3 * MIB))
const { digest, size } = blob.descriptor
const PATH = `/v2/test/blobs/blobs/${digest}`
const whole: ScriptEntry = { method: 'GET', path: PATH, headers: { range: undefined }, body: blob.bytes }
const tail = (from: number, over: Partial<ScriptEntry> = {}): ScriptEntry => ({
  method: 'GET',
  path: PATH,
  headers: { range: `bytes=${from}-` },
  status: 206,
  answerHeaders: { 'content-range': `bytes ${from}-${size - 1}/${size}` },
  body: blob.bytes.subarray(from),
  ...over,
})

test('download.cut.resumes: a broken stream goes on where it stands', async (t) => {
  await using registry = await startMemoryRegistry()
  registry.putBlob('test/blobs', blob.bytes)
  registry.fail({ method: 'GET', path: /blobs/ }, { kind: 'cut-response', afterBytes: 2 * MIB })
  const repository = await openRepository(t, registry.host)
  const retries: string[] = []
  const onRetry = (error: Error) => void retries.push(error.name)
  assert.deepEqual(await readAll(await repository.open(blob.descriptor, { signal, onRetry })), blob.bytes)
  assert.equal(retries.length, 1)
  const gets = registry.requests.filter(({ method, path }) => method === 'GET' && path === PATH)
  assert.match(gets[1]?.headers.range ?? '', /^bytes=[1-9]\d*-$/)
})

test('download.cut-at-60s.resumes: a stream that ends early in good order is not taken for whole', async (t) => {
  const registry = await startScriptedRegistry(t, [
    { ...whole, body: blob.bytes.subarray(0, MIB), answerHeaders: { 'transfer-encoding': 'chunked' } },
    tail(MIB),
  ])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await readAll(await repository.open(blob.descriptor, { signal })), blob.bytes)
  registry.check()
})

test('a blob in a coding that nobody asked for is told as that and not tried again; a mere label hurts nobody', async (t) => {
  const zipped = gzipSync(blob.bytes)
  for (const answerHeaders of [
    { 'content-encoding': 'gzip' },
    { 'content-encoding': 'gzip', 'transfer-encoding': 'chunked' },
  ]) {
    const registry = await startScriptedRegistry(t, [{ ...whole, body: zipped, answerHeaders }])
    const repository = await openRepository(t, registry.host)
    await assert.rejects(repository.open(blob.descriptor, { signal }).then(readAll), {
      code: 'REGISTRY_PROTOCOL_VIOLATION',
      retry: 'permanent',
      message: /answered with Content-Encoding: gzip for .*sha256:/,
      hint: /proxy before the registry/,
    })
    registry.check()
  }
  const labelled = { 'content-encoding': 'gzip', 'content-length': String(size) }
  const registry = await startScriptedRegistry(t, [
    { ...whole, answerHeaders: labelled },
    { method: 'HEAD', path: PATH, answerHeaders: { ...labelled, 'content-length': '17' } },
  ])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await readAll(await repository.open(blob.descriptor, { signal })), blob.bytes)
  // The length of what is not the blob's bytes says nothing.
  assert.equal(await repository.exists(blob.descriptor, { signal }), true)
  registry.check()
})

test('download.200-to-range.discards: a registry without ranges sends the head again, and it is thrown away', async (t) => {
  await using registry = await startMemoryRegistry({ ranges: false })
  registry.putBlob('test/blobs', blob.bytes)
  const repository = await openRepository(t, registry.host)
  const offset = 2 * MIB + 17
  assert.deepEqual(
    await readAll(await repository.open(blob.descriptor, { offset, signal })),
    blob.bytes.subarray(offset),
  )
})

test('download.416-at-eof-not-sent: nothing is asked for at the end of the blob', async (t) => {
  const registry = await startScriptedRegistry(t, [])
  const repository = await openRepository(t, registry.host)
  assert.equal((await readAll(await repository.open(blob.descriptor, { offset: size, signal }))).length, 0)
  registry.check()
})

test('download.416: the whole blob is asked for once', async (t) => {
  const registry = await startScriptedRegistry(t, [tail(MIB, { status: 416, body: '' }), whole])
  const repository = await openRepository(t, registry.host)
  const rest = await readAll(await repository.open(blob.descriptor, { offset: MIB, signal }))
  assert.deepEqual(rest, blob.bytes.subarray(MIB))
  registry.check()
})

test('a download whose beginning comes once more says so in the log, with the status', async (t) => {
  const lines: Array<Record<string, unknown>> = []
  const logger = pino({}, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) })
  const registry = await startScriptedRegistry(t, [
    tail(MIB, { status: 416, body: '' }),
    whole,
    tail(MIB, { status: 200, body: blob.bytes }),
  ])
  const repository = await openRepository(t, registry.host, { logger })
  for (const _ of ['416', '200']) await readAll(await repository.open(blob.descriptor, { offset: MIB, signal }))
  assert.deepEqual(
    lines.filter(({ msg }) => msg === 'download starts again').map(({ status, reason }) => [status, reason]),
    [416, 200].map((status) => [status, `it answered ${status} to a request for what is behind byte ${MIB}`]),
  )
})

const part = { start: MIB, end: 2 * MIB }
const partOf = (from: number, over: Partial<ScriptEntry> = {}): ScriptEntry => ({
  ...tail(from),
  headers: { range: `bytes=${from}-${part.end - 1}` },
  answerHeaders: { 'content-range': `bytes ${from}-${part.end - 1}/${size}` },
  body: blob.bytes.subarray(from, part.end),
  ...over,
})

test('a range that breaks off goes on to its own end', async (t) => {
  const half = part.start + MIB / 2
  const registry = await startScriptedRegistry(t, [
    partOf(part.start, {
      body: blob.bytes.subarray(part.start, half),
      answerHeaders: {
        'content-range': `bytes ${part.start}-${part.end - 1}/${size}`,
        'transfer-encoding': 'chunked',
      },
    }),
    partOf(half),
  ])
  const repository = await openRepository(t, registry.host)
  const stream = await repository.open(blob.descriptor, { offset: part.start, end: part.end, signal })
  assert.deepEqual(await readAll(stream), blob.bytes.subarray(part.start, part.end))
  registry.check()
})

for (const [what, answer] of [
  ['the whole blob', { ...whole, headers: {} }],
  ['416', partOf(part.start, { status: 416, body: '' })],
  ['400', partOf(part.start, { status: 400, body: '' })],
  ['403', partOf(part.start, { status: 403, body: '' })],
  ['404', partOf(part.start, { status: 404, body: '' })],
  ['405', partOf(part.start, { status: 405, body: '' })],
  ['501', partOf(part.start, { status: 501, body: '' })],
  ['200 and the part alone', partOf(part.start, { status: 200, answerHeaders: {} })],
  ['no Content-Range', partOf(part.start, { answerHeaders: {} })],
  ['less', partOf(part.start, { answerHeaders: { 'content-range': `bytes ${MIB}-${2 * MIB - 2}/${size}` } })],
  [
    'a part of another size',
    partOf(part.start, { answerHeaders: { 'content-range': `bytes ${MIB}-${2 * MIB - 1}/7` } }),
  ],
] as const) {
  test(`a range that is answered with ${what} is not read`, async (t) => {
    const registry = await startScriptedRegistry(t, [answer])
    const repository = await openRepository(t, registry.host)
    const opened = repository.open(blob.descriptor, { offset: part.start, end: part.end, signal })
    await assert.rejects(opened, (error) => error instanceof RangeIgnored)
    registry.check()
  })
}

for (const [name, range] of [
  ['another start', `bytes ${MIB - 1}-${size - 1}/${size}`],
  ['another end', `bytes ${MIB}-${size - 2}/${size}`],
  ['nothing', ''],
] as const) {
  test(`a Content-Range with ${name} is refused`, async (t) => {
    const answerHeaders: Record<string, string> = range === '' ? {} : { 'content-range': range }
    const registry = await startScriptedRegistry(t, [tail(MIB, { answerHeaders })])
    const repository = await openRepository(t, registry.host)
    await assert.rejects(repository.open(blob.descriptor, { offset: MIB, signal }), {
      code: 'REGISTRY_PROTOCOL_VIOLATION',
    })
  })
}

test('a blob of another size than the manifest says is refused before its bytes are read', async (t) => {
  const repository = async (entry: ScriptEntry) => openRepository(t, (await startScriptedRegistry(t, [entry])).host)
  const short = await repository({ ...whole, body: blob.bytes.subarray(1) })
  await assert.rejects(short.open(blob.descriptor, { signal }), { code: 'SIZE_MISMATCH' })
  const ranged = await repository(tail(MIB, { answerHeaders: { 'content-range': `bytes ${MIB}-${size}/${size + 1}` } }))
  await assert.rejects(ranged.open(blob.descriptor, { offset: MIB, signal }), { code: 'SIZE_MISMATCH' })
})

test('redirect.presign-expired-403.reresolves: the registry is asked for a fresh address', async (t) => {
  const storage = await startScriptedRegistry(t, [
    { method: 'GET', path: '/old', headers: { authorization: undefined }, status: 403, body: '<Error>expired</Error>' },
    { method: 'GET', path: '/new', headers: { authorization: undefined }, body: blob.bytes },
  ])
  const redirect = (to: string): ScriptEntry => ({
    method: 'GET',
    path: PATH,
    status: 307,
    answerHeaders: { location: `${storage.url}/${to}` },
  })
  const registry = await startScriptedRegistry(t, [redirect('old'), redirect('new')])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await readAll(await repository.open(blob.descriptor, { signal })), blob.bytes)
  registry.check()
  storage.check()
})

test('redirect.head-403.get-range: storage that signs for GET alone is asked for one byte', async (t) => {
  const storage = await startScriptedRegistry(t, [
    { method: 'HEAD', path: '/signed', status: 403 },
    {
      method: 'GET',
      path: '/signed',
      headers: { range: 'bytes=0-0' },
      status: 206,
      answerHeaders: { 'content-range': `bytes 0-0/${size}` },
      body: 'x',
    },
  ])
  const answerHeaders = { location: `${storage.url}/signed` }
  const registry = await startScriptedRegistry(t, [
    { method: 'HEAD', path: PATH, status: 307, answerHeaders },
    { method: 'GET', path: PATH, status: 307, answerHeaders },
  ])
  const repository = await openRepository(t, registry.host)
  assert.deepEqual(await repository.stat(digest, { signal }), { size })
  storage.check()
})

test('a registry that keeps failing ends the download', async (t) => {
  await using registry = await startMemoryRegistry()
  registry.putBlob('test/blobs', blob.bytes)
  registry.fail({ method: 'GET', path: /blobs/, times: 99 }, { kind: 'cut-response', afterBytes: 10 })
  const repository = await openRepository(t, registry.host)
  await assert.rejects(async () => readAll(await repository.open(blob.descriptor, { signal })), {
    code: 'REGISTRY_CONNECTION_LOST',
  })
})

test('a reader that stops early, and one that is canceled, leave no error behind', async (t) => {
  await using registry = await startMemoryRegistry()
  registry.putBlob('test/blobs', blob.bytes)
  const repository = await openRepository(t, registry.host)
  for await (const chunk of await repository.open(blob.descriptor, { signal })) {
    assert.ok(chunk.length > 0)
    break
  }
  const stop = new AbortController()
  const canceled = async () => {
    for await (const _ of await repository.open(blob.descriptor, { signal: stop.signal })) {
      stop.abort(new AppError('JOB_CANCELED', 'canceled'))
    }
  }
  await assert.rejects(canceled, { code: 'JOB_CANCELED' })
})
