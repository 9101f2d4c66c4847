import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { buildConnector } from 'undici'
import { AppError } from '../../../../src/lib/errors.ts'
import { createMask } from '../../../../src/oci/errors/mask.ts'
import { type Draft, toldRequest } from '../../../../src/oci/trace/told-request.ts'
import { connectionUse, timed } from '../../../../src/oci/wire/connections/connection-times.ts'
import { listenOnLoopback } from '../../../helpers/network/listening.ts'

const mask = createMask('registry.example')
mask.keep('opensesame')

function draftOf(more: Partial<Draft>, url = 'https://registry.example/v2/a/blobs/x'): Draft {
  return {
    registry: 'registry.example',
    told: () => assert.fail('nobody asks'),
    facts: { op: 'push blob', registry: 'registry.example', method: 'PUT', url: new URL(url), mask },
    exchange: 'undici',
    headers: {},
    shared: false,
    try: 1,
    begun: 1_700_000_000_000,
    begunAt: 1000,
    streams: false,
    bytes: 0,
    ...more,
  }
}

const MADE = { startedAt: 1010, dns: 5, tcp: 10, tls: 20 }
const ANSWERED = { status: 201, header: () => undefined }

test('the times of a request go on from each other', () => {
  const { timings } = toldRequest(
    draftOf({
      connection: { id: 3, made: MADE },
      streams: true,
      writtenAt: 1050,
      sentAt: 1080,
      answeredAt: 1100,
      endedAt: 1130,
      ...ANSWERED,
    }),
    9999,
  )
  assert.deepEqual(timings, { blocked: 15, dns: 5, connect: 30, ssl: 20, send: 30, wait: 20, receive: 30 })
})

test('a connection that was made for another request is only waited for', () => {
  const draft = draftOf({
    connection: { id: 3, made: { ...MADE, startedAt: 999 } },
    writtenAt: 1050,
    answeredAt: 1060,
    endedAt: 1060,
  })
  const { timings } = toldRequest(draft, 9999)
  assert.deepEqual(timings, { blocked: 50, dns: -1, connect: -1, ssl: -1, send: 0, wait: 10, receive: 0 })
})

test('an answer that comes before all was sent ends the sending', () => {
  const early = draftOf({ streams: true, writtenAt: 1050, answeredAt: 1060, endedAt: 1070, ...ANSWERED })
  const { send, wait, receive } = toldRequest(early, 9999).timings
  assert.deepEqual({ send, wait, receive }, { send: 10, wait: 0, receive: 10 })
  const late = toldRequest({ ...early, sentAt: 1065 }, 9999).timings
  assert.deepEqual(late, toldRequest(early, 9999).timings)
})

test('a body that was gathered before there was a connection took no time to be sent', () => {
  const { send, wait } = toldRequest(
    draftOf({ streams: true, sentAt: 1020, writtenAt: 1050, answeredAt: 1060, endedAt: 1060, ...ANSWERED }),
    9999,
  ).timings
  assert.deepEqual({ send, wait }, { send: 0, wait: 10 })
})

test('one that never went out was blocked, and one under way is told up to now', () => {
  const refused = draftOf({ endedAt: 1040, error: new AppError('REGISTRY_UNREACHABLE', 'refused') })
  assert.deepEqual(toldRequest(refused, 9999).timings, {
    blocked: 40,
    dns: -1,
    connect: -1,
    ssl: -1,
    send: 0,
    wait: 0,
    receive: 0,
  })
  const open = toldRequest(draftOf({ writtenAt: 1010 }), 1500)
  assert.equal(open.open, true)
  assert.equal(open.timings.wait, 490)
})

test('an error that is none of ours is told in a general sentence', () => {
  const { error } = toldRequest(draftOf({ endedAt: 1040, error: new Error('EACCES: /home/ann/key') }), 9999)
  assert.deepEqual(error, { code: 'INTERNAL', message: 'something went wrong inside layerd; its log has it' })
})

test('headers and addresses that the far end chose have no secrets of the request', () => {
  const headers: Record<string, string> = {
    location: 'https://ann:pass@other.example/opensesame/x?_state=abcdefghijklmnopqrstuvwxyz',
    server: 'we saw opensesame and old-token-of-this-request',
    'www-authenticate':
      'Bearer realm="https://auth.example/token?key=1",service="opensesame",error="opensesame",error_description="opensesame", Basic b3BlbnNlc2FtZQ==',
    'content-type': 'a/eyJhbGciOiJFUzI1NiJ9',
    'set-cookie': 'sid=1',
    'x-request-id': 'r'.repeat(1000),
  }
  const sent = { authorization: 'Bearer old-token-of-this-request', cookie: 'sid=1', accept: '*/*' }
  const told = toldRequest(
    draftOf(
      { headers: sent, writtenAt: 1, answeredAt: 2, endedAt: 3, status: 401, header: (name) => headers[name] },
      'https://ann:opensesame@other.example/opensesame?sig=0123456789abcdef&digest=opensesame',
    ),
    9999,
  )
  assert.equal(told.url, 'https://other.example/***?…')
  assert.deepEqual(told.headers, [
    ['authorization', 'Bearer ***'],
    ['accept', '*/*'],
  ])
  // "server" repeats the token of this very request, which the mask may have forgotten.
  assert.deepEqual(told.answer?.headers, [
    ['server', 'we saw *** and ***'],
    ['content-type', '***'],
    ['location', 'https://other.example/***/x?…'],
    ['www-authenticate', 'Bearer realm="https://auth.example/token?…",service="***", Basic'],
    ['x-request-id', 'r'.repeat(500)],
  ])
})

test('how a connection was made is told of the first request that it carries', async (t) => {
  const server = createServer((socket) => socket.resume())
  const { host, hostname, port } = new URL(`http://${await listenOnLoopback(t, server)}`)
  const opened = Promise.withResolvers<Parameters<typeof connectionUse>[0]>()
  timed(buildConnector({ allowH2: false }))({ host, hostname, port, protocol: 'http:' }, (error, socket) => {
    if (error) opened.reject(error)
    else opened.resolve(socket)
  })
  const socket = await opened.promise
  const first = connectionUse(socket)
  assert.ok(first?.made && first.made.tcp >= 0)
  assert.deepEqual([first.made.dns, first.made.tls], [undefined, undefined])
  assert.deepEqual(connectionUse(socket), { id: first.id })
  assert.equal(connectionUse(undefined), undefined)
  socket?.destroy()
  if (socket && !socket.closed) await once(socket, 'close')
})
