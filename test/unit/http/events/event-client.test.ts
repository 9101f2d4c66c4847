import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { EventClient } from '../../../../src/http/events/event-client.ts'
import { Frame, ndjsonFraming } from '../../../../src/http/events/sse.ts'
import type { JobEvent, Progress, Transfer } from '../../../../src/jobs/model/definitions.ts'
import { type Cleanup, defer } from '../../../helpers/cleanup.ts'
import { waitFor } from '../../../helpers/wait-for.ts'

type Received = JobEvent & { id: string }

/** One watcher over a real connection, whose reading is up to the test. */
async function connectClient(t: Cleanup, stuckMs?: number) {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  defer(t, () => void server.close())
  const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
  const [, response] = await once(server, 'request')
  const client = new EventClient({ response, framing: ndjsonFraming, ...(stuckMs === undefined ? {} : { stuckMs }) })
  client.open()
  const [incoming] = (await once(request, 'response')) as [IncomingMessage]
  incoming.on('error', () => {})
  request.on('error', () => {})
  defer(t, () => void request.destroy())
  const read = async (): Promise<Received[]> => {
    let text = ''
    for await (const chunk of incoming) text += String(chunk)
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Received)
  }
  return { client, read, incoming }
}

let seq = 0
function frame(event: { type: 'log'; message: string } | { type: 'progress'; digest: string; bytes: number }): Frame {
  seq += 1
  const base = { jobId: 'j', seq, time: '2026-01-02T03:04:05.000Z', attempt: 1 }
  if (event.type === 'log') return new Frame({ id: `${seq}-0`, event: { ...base, ...event, level: 'info' } })
  const progress = { bytesDone: event.bytes } as Progress
  const transfers = [{ digest: event.digest, bytesDone: event.bytes, title: 'x'.repeat(1000) } as Transfer]
  return new Frame({ id: `${seq}-0`, event: { ...base, type: 'progress', progress, transfers } })
}

const big = () => frame({ type: 'log', message: 'x'.repeat(200_000) })

/** Fills socket and kernel until the client holds back. */
function fill(client: EventClient): number {
  for (let sent = 1; ; sent += 1) {
    client.send(big())
    let caughtUp = false
    void client.drained().then(() => (caughtUp = true))
    if (!caughtUp && sent > 35) return sent
  }
}

test('a reader that keeps up gets everything, then the end', async (t) => {
  const { client, read } = await connectClient(t)
  const sent = [frame({ type: 'log', message: 'a' }), frame({ type: 'progress', digest: 'd', bytes: 1 })]
  for (const one of sent) client.send(one)
  client.end()
  client.send(frame({ type: 'log', message: 'too late' }))
  assert.deepEqual(
    await read(),
    sent.map(({ logged }) => ({ id: logged.id, ...logged.event })),
  )
})

test('a reader that is behind gets all events in order, but of the progress only the newest with all that changed', async (t) => {
  const { client, read } = await connectClient(t)
  const filled = fill(client)
  client.send(frame({ type: 'progress', digest: 'a', bytes: 10 }))
  client.send(frame({ type: 'log', message: 'between' }))
  client.send(frame({ type: 'progress', digest: 'b', bytes: 20 }))
  client.send(frame({ type: 'progress', digest: 'a', bytes: 30 }))
  client.send(frame({ type: 'log', message: 'last' }))
  client.end()
  const received = await read()
  const rest = received.slice(filled)
  assert.equal(received.length, filled + 3)
  assert.deepEqual(
    rest.map((event) => (event.type === 'log' ? event.message : event.type)),
    ['between', 'progress', 'last'],
  )
  const progress = rest[1]
  assert.ok(progress?.type === 'progress')
  assert.equal(progress.progress.bytesDone, 30)
  const changed = new Map(progress.transfers.map(({ digest, bytesDone }) => [digest, bytesDone]))
  assert.deepEqual(
    changed,
    new Map([
      ['b', 20],
      ['a', 30],
    ]),
  )
  const ids = received.map(({ id }) => Number.parseInt(id, 10))
  assert.deepEqual(
    ids,
    ids.toSorted((a, b) => a - b),
  )
})

test('heartbeats are left out for a reader that is behind', async (t) => {
  const { client, read } = await connectClient(t)
  const filled = fill(client)
  for (let at = 0; at < 100; at += 1) client.sendHeartbeat('{"type":"ping"}\n')
  client.end()
  assert.equal((await read()).length, filled)
})

test('a reader that takes nothing for too long is cut off', async (t) => {
  const { client } = await connectClient(t, 50)
  fill(client)
  await waitFor('the connection to be closed', () => client.closed)
  await client.drained()
  client.send(big())
  client.end()
})

test('what is held for a reader is bounded', async (t) => {
  const { client } = await connectClient(t)
  fill(client)
  for (let at = 0; at < 2000 && !client.closed; at += 1) client.send(frame({ type: 'log', message: 'm' }))
  assert.equal(client.closed, true)
})

test('what is held for a reader is bounded in bytes, and a single event may be larger', async (t) => {
  const { client } = await connectClient(t)
  client.send(big())
  client.send(frame({ type: 'log', message: 'x'.repeat(9_000_000) }))
  assert.equal(client.closed, false)
  client.send(frame({ type: 'log', message: 'm' }))
  assert.equal(client.closed, true)
})

test('figures that go in place of older ones take their bytes as well', async (t) => {
  const { client, read } = await connectClient(t)
  client.send(big())
  client.send(frame({ type: 'log', message: 'm' }))
  for (let at = 0; at < 20_000; at += 1) client.send(frame({ type: 'progress', digest: 'a', bytes: at }))
  client.end()
  assert.equal((await read()).length, 3)
})

test('a reader that goes away is noticed, and what is sent to it does no harm', async (t) => {
  const { client, incoming } = await connectClient(t)
  let closed = 0
  client.onClose(() => (closed += 1))
  fill(client)
  incoming.destroy()
  await waitFor('the close', () => closed === 1)
  await client.drained()
  client.send(big())
  client.sendHeartbeat('x')
  client.endForNow()
  client.onClose(() => (closed += 1))
  assert.equal(closed, 2)
})
