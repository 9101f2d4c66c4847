import assert from 'node:assert/strict'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { defer } from '../../helpers/cleanup.ts'
import { startFaultProxy } from '../../helpers/network/fault-proxy.ts'
import { startRedis } from '../../helpers/redis/redis.ts'
import { waitFor } from '../../helpers/wait-for.ts'

/** A server that sends everything back, and what reached it. */
async function startEcho(t: TestContext) {
  const sockets: Socket[] = []
  let received = 0
  let resets = 0
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('data', (chunk) => {
      received += chunk.length
      socket.write(chunk)
    })
    socket.on('error', () => (resets += 1))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    target: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    facts: () => ({ received, resets }),
  }
}

interface Client {
  readonly socket: Socket
  /** Sends and waits for as much in return. */
  ask(bytes: number): Promise<void>
  received(): number
  /** How the connection ended. */
  ended(): string | undefined
}

async function connectTo(t: TestContext, host: string): Promise<Client> {
  const socket = createConnection({ host: '127.0.0.1', port: Number(host.split(':')[1]) })
  defer(t, () => void socket.destroy())
  let received = 0
  let ended: string | undefined
  socket.on('data', (chunk) => (received += chunk.length))
  socket.on('error', (error: NodeJS.ErrnoException) => (ended ??= error.code))
  socket.on('end', () => (ended ??= 'end'))
  await new Promise<void>((resolve) => void socket.once('connect', resolve).once('close', () => resolve()))
  return {
    socket,
    received: () => received,
    ended: () => ended,
    async ask(bytes) {
      const wanted = received + bytes
      socket.write(Buffer.alloc(bytes, 'x'))
      await waitFor('the echo', () => received === wanted)
    },
  }
}

test('everything passes in both directions, and is counted', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  const client = await connectTo(t, proxy.host)
  await client.ask(10)
  await client.ask(3_000_000)
  assert.deepEqual(proxy.passed, { up: 3_000_010, down: 3_000_010 })
  assert.deepEqual(proxy.taken, proxy.passed)
  assert.equal(proxy.connections, 1)
  assert.equal(proxy.open, 1)
  client.socket.end()
  await waitFor('the connection to close on both sides', () => proxy.open === 0 && client.ended() === 'end')
})

test('a connection is reset after exactly so many bytes, counted from when that was planned', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  const client = await connectTo(t, proxy.host)
  await client.ask(500)
  const fault = proxy.fail({ up: 1000 })
  await client.ask(900)
  assert.equal(fault.met, false)
  client.socket.write(Buffer.alloc(200))
  await waitFor('the reset at the client', () => client.ended() === 'ECONNRESET')
  await waitFor('the reset at the server', () => echo.facts().resets === 1)
  assert.equal(fault.met, true)
  assert.equal(proxy.passed.up, 1500)
  await (await connectTo(t, proxy.host)).ask(5000)
})

test('an answer ends in good order after exactly so many bytes', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  proxy.fail({ down: 70_000 }, 'close')
  const client = await connectTo(t, proxy.host)
  client.socket.write(Buffer.alloc(200_000))
  await waitFor('the end', () => client.ended() === 'end')
  assert.equal(client.received(), 70_000)
})

test('silence keeps the connection open and holds the sender back, until it is cut', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  const fault = proxy.fail({ up: 100_000 }, 'silence')
  const client = await connectTo(t, proxy.host)
  client.socket.write(Buffer.alloc(64 * 1024 * 1024))
  await waitFor('the silence', () => fault.met)
  await waitFor('what passed before to arrive', () => echo.facts().received === 100_000)
  assert.equal(client.ended(), undefined)
  assert.equal(proxy.open, 1)
  assert.ok(client.socket.writableLength > 0, 'not everything was swallowed')
  proxy.cutAll()
  await waitFor('the cut', () => client.ended() === 'ECONNRESET' && echo.facts().resets === 1)
  assert.equal(proxy.open, 0)
})

test('a silent connection ends in good order too, whatever its client still had to say', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  const fault = proxy.fail({ up: 100_000 }, 'silence')
  const client = await connectTo(t, proxy.host)
  client.socket.write(Buffer.alloc(64 * 1024 * 1024))
  await waitFor('the silence', () => fault.met)
  proxy.cutAll('close')
  await waitFor('the end at the client', () => client.ended() === 'end')
  await waitFor('the connection to be gone', () => proxy.open === 0)
  assert.deepEqual(echo.facts(), { received: 100_000, resets: 0 })
})

test('the k-th connection, question and answer fail', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  proxy.fail({ connection: 2 })
  const first = await connectTo(t, proxy.host)
  await first.ask(10)
  const second = await connectTo(t, proxy.host)
  await waitFor('the second connection to fail', () => second.ended() === 'ECONNRESET')
  await first.ask(10)
  assert.equal(proxy.calls, 2)

  proxy.fail({ call: 2 })
  await first.ask(10)
  first.socket.write('not to pass')
  await waitFor('the fourth question to fail', () => first.ended() === 'ECONNRESET')
  assert.equal(echo.facts().received, 30)

  proxy.fail({ answer: 1 }, 'close')
  const third = await connectTo(t, proxy.host)
  third.socket.write('answered in vain')
  await waitFor('the answer to be lost', () => third.ended() === 'end')
  assert.equal(echo.facts().received, 30 + 'answered in vain'.length)
  assert.equal(third.received(), 0)
})

test('the k-th question and answer break off in the middle', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  proxy.fail({ call: 2, after: 7 })
  const first = await connectTo(t, proxy.host)
  await first.ask(10)
  first.socket.write('not all of it passes')
  await waitFor('the second question to break off', () => first.ended() === 'ECONNRESET')
  assert.equal(echo.facts().received, 17)

  proxy.fail({ answer: 1, after: 9 }, 'close')
  const second = await connectTo(t, proxy.host)
  second.socket.write('answered in part')
  await waitFor('the answer to break off', () => second.ended() === 'end')
  assert.equal(second.received(), 9)
  assert.deepEqual(proxy.exchanges, [
    { up: 10, down: 10 },
    { up: 7, down: 0 },
    { up: 16, down: 9 },
  ])
})

test('the answer to a large question alone can be lost', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  proxy.fail({ answerAfter: 30_001 }, 'silence')
  const small = await connectTo(t, proxy.host)
  await small.ask(20_000)
  const large = await connectTo(t, proxy.host)
  await large.ask(30_000)
  large.socket.write(Buffer.alloc(20_000))
  await waitFor('the question to arrive', () => echo.facts().received === 70_000)
  await small.ask(10_000)
  assert.equal(large.received(), 30_000)
})

test('the answer to a question that begins in some way can be lost, wherever it is asked', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  const [first, second] = [await connectTo(t, proxy.host), await connectTo(t, proxy.host)]
  const fault = proxy.fail({ answerTo: /^PUT .*digest/ })
  await first.ask(10)
  second.socket.write('HEAD /digest')
  await waitFor('the answer to another question', () => second.received() === 12)
  assert.equal(fault.met, false)
  second.socket.write('PUT /?digest')
  await waitFor('the answer to be lost', () => second.ended() === 'ECONNRESET')
  assert.deepEqual([fault.met, second.received(), echo.facts().received], [true, 12, 34])
  await first.ask(10)
})

test('a fault that was called off does not happen', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target)
  proxy.fail({ call: 1 }).cancel()
  await (await connectTo(t, proxy.host)).ask(10)
})

test('a limited, late link hands on everything in order, no sooner than it may', async (t) => {
  const echo = await startEcho(t)
  const proxy = await startFaultProxy(t, echo.target, { bytesPerSecond: 1_000_000, latencyMs: 50 })
  const client = await connectTo(t, proxy.host)
  const begun = performance.now()
  await client.ask(200_000)
  // 200 ms on the wire and the way there and back; how much more it is says nothing.
  assert.ok(performance.now() - begun > 290)
})

test('a unix socket can be the target, and one question is what goes out together', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startFaultProxy(t, redis.socketPath)
  const client = await connectTo(t, proxy.host)
  client.socket.write('PING\r\nPING\r\n')
  await waitFor('both answers', () => client.received() === '+PONG\r\n+PONG\r\n'.length)
  assert.equal(proxy.calls, 1)
})
