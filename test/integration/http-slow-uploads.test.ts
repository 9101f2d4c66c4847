import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { type ClientRequest, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { tokenLine, tokensFileOf, tokensFileWith } from '../helpers/streams/tokens.ts'

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  problem: Problem
}

/** A request whose body is sent by hand. */
function open(
  t: TestContext,
  url: string,
  { method = 'PUT', headers = {} }: { method?: string; headers?: object } = {},
) {
  const request: ClientRequest = httpRequest(url, { method, headers: { ...headers }, agent: false })
  t.after(() => request.destroy())
  const answer = new Promise<Answer>((resolve, reject) => {
    request.on('error', reject)
    request.on('response', (response) => {
      const { statusCode: status = 0, headers: told } = response
      text(response).then((body) => resolve({ status, headers: told, problem: JSON.parse(body) as Problem }), reject)
    })
  })
  answer.catch(() => {})
  return { request, answer }
}

const bodyPace = { bytesPerSecond: 1024, overMs: 300 }

test('an upload of a byte now and then is ended with 408, its connection too, and nothing of it stays', async (t) => {
  const { listen, uploadFolder } = await startApp(t, { bodyPace })
  const url = `${await listen()}/v1/uploads/p.tar`
  // Who writes on meets the end of the connection, and may meet it before the answer was read. Source: RFC 9112 9.6.
  const { request, answered } = await waitFor('an answer that the end did not overtake', async () => {
    const { request, answer } = open(t, url, { headers: { 'content-length': '1000000' } })
    const trickle = setInterval(() => request.write('x'), 5)
    const answered = await answer.catch(() => undefined).finally(() => clearInterval(trickle))
    return answered && { request, answered }
  })
  const { status, headers, problem } = answered
  assert.deepEqual([status, headers.connection, problem.code, problem.retryable], [408, 'close', 'BODY_TOO_SLOW', true])
  await waitFor('nothing to be left', async () => (await readdir(uploadFolder)).length === 0)
  await waitFor('the connection to end', () => request.socket?.destroyed === true)
})

test('a JSON body that does not come is ended likewise', async (t) => {
  const { listen } = await startApp(t, { bodyPace })
  const headers = { 'content-type': 'application/json', 'content-length': '100' }
  const { request, answer } = open(t, `${await listen()}/v1/jobs`, { method: 'POST', headers })
  request.write('{')
  const { status, headers: told, problem } = await answer
  assert.deepEqual([status, told.connection, problem.code], [408, 'close', 'BODY_TOO_SLOW'])
})

test('a chunked JSON body that is refused for its size and goes on, or breaks off, ends nothing but its connection', async (t) => {
  const { app, listen } = await startApp(t, { bodyPace })
  const base = await listen()
  const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }
  const asked: IncomingMessage[] = []
  app.server.on('request', (request: IncomingMessage) => asked.push(request))
  for (const goesOn of [false, true]) {
    const { request, answer } = open(t, `${base}/v1/jobs`, { method: 'POST', headers })
    request.write('x'.repeat(1_500_000))
    assert.equal((await answer).status, 413)
    const trickle = setInterval(() => request.write('x'), 5)
    t.after(() => clearInterval(trickle))
    if (!goesOn) request.destroy()
    await waitFor('the connection to end', () => request.socket?.destroyed === true)
    await waitFor('the request to be given up', () => asked.every(({ destroyed }) => destroyed))
    clearInterval(trickle)
  }
  // An error that nobody listens for would end this process by then.
  await nextTurn()
  await nextTurn()
  assert.equal((await fetch(`${base}/livez`)).status, 200)
})

test('a place for an upload comes back also when its connection ended before it was taken', async (t) => {
  const tokensFile = await tokensFileWith(t, tokenLine('ann', '*', 'secret'))
  const { listen } = await startApp(t, { tokensFile, uploadsPerPrincipal: 3 })
  const base = await listen()
  const headers = { authorization: 'Bearer secret' }
  const { port } = new URL(base)
  const head = 'PUT /v1/uploads/p.tar HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 9\r\n\r\n'
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined)
      await once(socket, 'connect')
      socket.write(head, () => socket.resetAndDestroy())
      await once(socket, 'close')
    }),
  )
  await waitFor('an upload to be taken', async () => {
    const answer = await fetch(`${base}/v1/uploads/p.tar`, { method: 'PUT', headers, body: 'bytes' })
    return answer.status === 201
  })
})

test('what still trickles in of a request that was refused ends its connection', async (t) => {
  const { listen } = await startApp(t, { bodyPace })
  const { port, host } = new URL(await listen())
  const socket = connect(Number(port), '127.0.0.1')
  t.after(() => socket.destroy())
  let answer = ''
  socket.setEncoding('utf8').on('error', () => undefined)
  socket.on('data', (chunk: string) => (answer += chunk))
  socket.write(`PUT /v1/uploads/p.zip HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000000\r\n\r\n`)
  const trickle = setInterval(() => socket.write('x'), 5)
  t.after(() => clearInterval(trickle))
  await waitFor('the connection to end', () => socket.closed)
  assert.match(answer, /^HTTP\/1.1 422 /)
  assert.doesNotMatch(answer, /connection: close/i, 'who sends the rest in time may use it again')
})

test('a caller has so many uploads open and no more; others do not wait for that, and each end is a place', async (t) => {
  const tokensFile = await tokensFileOf(t, { ann: '*', bob: '*' })
  const { app, listen, uploadFolder } = await startApp(t, { uploadsPerPrincipal: 3, tokensFile })
  const url = `${await listen()}/v1/uploads/p.tar`
  const start = (name: string, more = {}) =>
    open(t, url, { headers: { authorization: `Bearer ${name}`, 'content-length': '1000', ...more } })
  const running = [start('ann'), start('ann'), start('ann')]
  for (const { request } of running) request.write('x')
  await waitFor('three to be under way', async () => (await readdir(uploadFolder)).length === 3)

  const refused = start('ann', { expect: '100-continue' })
  let continued = false
  refused.request.on('continue', () => (continued = true))
  refused.request.flushHeaders()
  const { status, headers, problem } = await refused.answer
  assert.deepEqual([status, headers['retry-after'], problem.code], [429, '5', 'UPLOADS_TOO_MANY'])
  assert.match(problem.detail, /^ann has 3 uploads open/)
  assert.equal(continued, false)

  const put = (name: string) =>
    app.inject({ method: 'PUT', url: '/v1/uploads/q.tar', headers: { authorization: `Bearer ${name}` }, payload: 'q' })
  for (let sent = 0; sent < 5; sent += 1) assert.equal((await put('bob')).statusCode, 201)
  running[0]?.request.destroy()
  await waitFor('a place to be free', async () => (await put('ann')).statusCode === 201)
  running[1]?.request.end('x'.repeat(999))
  await running[1]?.answer
  for (let sent = 0; sent < 5; sent += 1) assert.equal((await put('ann')).statusCode, 201)
})
