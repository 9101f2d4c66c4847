import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { defer } from '../../helpers/cleanup.ts'
import { pipeTerminal, runCommand } from '../../helpers/processes/cli-program.ts'

function withToken(url: string) {
  const io = pipeTerminal(url)
  return { ...io, terminal: { ...io.terminal, env: { url, token: 'secret' } } }
}

test('a token does not go over plain HTTP to another machine', async () => {
  for (const url of [
    'http://layerd.example:8420',
    'http://192.0.2.7',
    'http://127.0.0.1.example',
    'http://[2001:db8::1]',
  ]) {
    const io = withToken(url)
    assert.equal(await runCommand(['jobs'], io.terminal), 2, url)
    assert.match(io.err(), /^LAYERD_TOKEN would go over plain HTTP to .*: use https:\/\/, or --insecure/)
  }
  const given = withToken('http://127.0.0.1:9')
  assert.equal(await runCommand(['jobs', '--url', 'http://layerd.example'], given.terminal), 2)
})

test('it goes where it is told to, over TLS, to this machine, and nowhere where there is none', async (t) => {
  // A name that stands for no address: what is sent there is not sent at all.
  const unreachable = /DAEMON_UNREACHABLE/
  for (const [url, argv] of [
    ['http://layerd.invalid', ['jobs', '--insecure']],
    ['https://layerd.invalid', ['jobs']],
  ] as const) {
    const io = withToken(url)
    assert.equal(await runCommand(argv, io.terminal), 1)
    assert.match(io.err(), unreachable)
  }
  const tokenless = pipeTerminal('http://layerd.invalid')
  assert.equal(await runCommand(['jobs'], tokenless.terminal), 1)
  assert.match(tokenless.err(), unreachable)

  const shown: unknown[] = []
  const server = createServer(({ headers }, response) => {
    shown.push(headers.authorization)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"items":[]}')
  }).listen(0, '127.0.0.1')
  defer(t, () => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  for (const host of ['127.0.0.1', 'localhost']) {
    const io = withToken(`http://${host}:${port}`)
    assert.equal(await runCommand(['jobs'], io.terminal), 0, io.err())
  }
  assert.deepEqual(shown, ['Bearer secret', 'Bearer secret'])
})
