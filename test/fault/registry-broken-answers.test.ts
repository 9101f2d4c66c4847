import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAppError } from '../../src/lib/errors.ts'
import { startScriptedServer } from '../helpers/registries/scripted-server.ts'
import { connect, request } from '../helpers/registries/transport.ts'

const tags = '/v2/some/package/tags/list'
const anonymous = { credential: undefined, plainHttp: false }
const chunk = Buffer.alloc(64 * 1024, 1)

/** A body of 64 MiB: more than any socket buffer takes, so that the far end's reset meets it on the way. */
async function* endless() {
  for (let count = 0; count < 1024; count += 1) yield chunk
}

const push = { method: 'PATCH', lane: 'bulk', op: 'push blob', body: endless } as const

test('a connection reset under a body leaves the outcome open', async (t) => {
  const registry = await startScriptedServer(t, (incoming) => {
    incoming.once('data', () => incoming.socket.resetAndDestroy())
  })
  const transport = connect(t).transport(registry.host, anonymous)
  await assert.rejects(transport.send(request('/v2/upload', push)), {
    code: 'REGISTRY_CONNECTION_LOST',
    retry: 'transient',
    op: 'push blob',
  })
})

test('an answer in the middle of a body is the answer, or an open outcome when the reset came first', async (t) => {
  const registry = await startScriptedServer(t, (_incoming, response) =>
    response.writeHead(413, { connection: 'close' }).end(),
  )
  const transport = connect(t).transport(registry.host, anonymous)
  await assert.rejects(transport.send(request('/v2/upload', push)), (error) => {
    assert.ok(isAppError(error))
    const { code, retry } = error
    assert.ok(
      (code === 'REGISTRY_REJECTED' && retry === 'permanent') ||
        (code === 'REGISTRY_CONNECTION_LOST' && retry === 'transient'),
      code,
    )
    return true
  })
})

test('what fails in the source of a body is not blamed on the registry', async (t) => {
  const registry = await startScriptedServer(t, (incoming) => incoming.resume())
  const transport = connect(t).transport(registry.host, anonymous)
  const broken = Object.assign(new Error('the other registry'), { code: 'ECONNRESET' })
  const body = async function* () {
    yield chunk
    throw broken
  }
  await assert.rejects(transport.send(request('/v2/upload', { ...push, body })), broken)
})

test('a body shorter than promised is not sent as a whole', async (t) => {
  const registry = await startScriptedServer(t, (incoming) => incoming.resume())
  const transport = connect(t).transport(registry.host, anonymous)
  const body = async function* () {
    yield chunk
  }
  const short = request('/v2/upload', { ...push, body, contentLength: chunk.length + 1 })
  await assert.rejects(transport.send(short), { code: 'SIZE_MISMATCH', retry: 'permanent' })
})

test('silence before the answer and within it are time-outs', async (t) => {
  const registry = await startScriptedServer(t, (incoming, response) => {
    if (incoming.url === '/v2/half') response.writeHead(200, { 'content-length': 10 }).write('half')
  })
  const timeouts = { bulkHeadersMs: 50, bodyIdleMs: 50 }
  const transport = connect(t, { timeouts }).transport(registry.host, anonymous)
  await assert.rejects(transport.send(request('/v2/silent', { lane: 'bulk' })), {
    code: 'REGISTRY_TIMEOUT',
    retry: 'transient',
  })
  const response = await connect(t, { timeouts: { bodyIdleMs: 50 } })
    .transport(registry.host, anonymous)
    .send(request('/v2/half', { lane: 'bulk' }))
  await assert.rejects(response.bytes(100), { code: 'REGISTRY_TIMEOUT' })
})

test('an answer that breaks off is a lost connection, read whole or piece by piece', async (t) => {
  const registry = await startScriptedServer(t, (incoming, response) => {
    response.writeHead(200, { 'content-length': 10 }).write('half', () => incoming.socket.resetAndDestroy())
  })
  const transport = connect(t).transport(registry.host, anonymous)
  const whole = await transport.send(request('/v2/half', { lane: 'bulk' }))
  await assert.rejects(whole.bytes(100), { code: 'REGISTRY_CONNECTION_LOST' })
  const pieces = await transport.send(request('/v2/half', { lane: 'bulk' }))
  const read = async () => {
    for await (const _piece of pieces.body) continue
  }
  await assert.rejects(read, (error) => {
    const translated = pieces.bodyError(error)
    return isAppError(translated) && translated.code === 'REGISTRY_CONNECTION_LOST'
  })
})

test('an answer longer than allowed is not read, announced or not', async (t) => {
  const registry = await startScriptedServer(t, (incoming, response) => {
    if (incoming.url === '/v2/announced') response.setHeader('content-length', 100)
    response.end('x'.repeat(100))
  })
  const transport = connect(t).transport(registry.host, anonymous)
  for (const target of ['/v2/announced', '/v2/chunked']) {
    const response = await transport.send(request(target))
    await assert.rejects(response.bytes(99), { code: 'REGISTRY_PROTOCOL_VIOLATION', message: /longer than 99 bytes/ })
  }
})

test('a job that is canceled gets its own reason, before and during an answer', async (t) => {
  const { promise: halfOut, resolve: wroteHalf } = Promise.withResolvers<void>()
  const registry = await startScriptedServer(t, (incoming, response) => {
    if (incoming.url === '/v2/silent') return
    response.writeHead(200, { 'content-length': 10 }).write('half')
    if (incoming.url === '/v2/small-half') wroteHalf()
  })
  const transport = connect(t).transport(registry.host, anonymous)
  const controller = new AbortController()
  const { signal } = controller
  const response = await transport.send(request('/v2/half', { lane: 'bulk', signal }))
  // A small answer is read before it is told of.
  const asked = ['/v2/silent', '/v2/small-half'].map((path) => transport.send(request(path, { signal })))
  await halfOut
  setImmediate(() => controller.abort())
  for (const one of asked) await assert.rejects(one, { code: 'JOB_CANCELED' })
  await assert.rejects(response.bytes(100), { code: 'JOB_CANCELED' })
  await assert.rejects(transport.send(request(tags, { signal })), { code: 'JOB_CANCELED' })
})
