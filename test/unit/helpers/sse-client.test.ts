import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ServerSentEvent, serverSentEvents } from '../../helpers/streams/sse-client.ts'

async function read(text: string, chunkBytes: number): Promise<ServerSentEvent[]> {
  const bytes = new TextEncoder().encode(text)
  const body = new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += chunkBytes) controller.enqueue(bytes.slice(at, at + chunkBytes))
      controller.close()
    },
  })
  const response = new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  return Array.fromAsync(serverSentEvents(response))
}

test('events are the same however the bytes are cut', async () => {
  const text =
    'retry: 2000\n\nid: 1-0\ndata:\n\n: heartbeat\n\nid: 2-0\nevent: state\ndata: {"a":\ndata: "ü"}\r\n\r\ndata: x\n\n'
  const expected = [
    { id: '2-0', event: 'state', data: '{"a":\n"ü"}' },
    { id: undefined, event: 'message', data: 'x' },
  ]
  assert.deepEqual(await read(text, 1000), expected)
  assert.deepEqual(await read(text, 1), expected)
})

test('an answer that is no event stream is an error with what it says', async () => {
  const response = Response.json({ code: 'JOB_NOT_FOUND' }, { status: 404 })
  await assert.rejects(serverSentEvents(response).next(), /HTTP 404 application\/json.*JOB_NOT_FOUND/)
})
