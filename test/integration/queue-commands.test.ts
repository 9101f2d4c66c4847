import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { addJob } from '../helpers/redis/instant-worker.ts'
import { startApp } from '../helpers/streams/http-app.ts'

test('layerd queues lists what waits and why on 80 columns, pauses a queue and lets it go on', async (t) => {
  const bed = await startApp(t)
  const url = await bed.listen()
  const run = async (argv: readonly string[], screen = false) => {
    const { terminal, out, err } = pipeTerminal(url)
    if (screen) Object.assign(terminal.stdout, { isTTY: true, columns: 80 })
    const exit = await runCommand(argv, { ...terminal, env: { url, token: undefined } })
    return { exit, out: out(), err: err() }
  }
  const LONG = 'a-registry-with-a-long-name.example.internal:5000'
  await addJob(bed.jobs, LONG)
  await addJob(bed.jobs, 'ghcr.io')
  await addJob(bed.jobs, '[::1]:5000')
  const why = 'its disk is being replaced, which takes a while, and nobody knows how long'
  const paused = await run(['queues', 'pause', 'ghcr.io', '--reason', why])
  assert.deepEqual([paused.exit, paused.err], [0, ''])
  assert.match(paused.out, /^the queue of ghcr\.io is paused by anonymous since 2\S+Z; no jobs run on\n$/)
  assert.equal((await run(['queues', '-q', 'pause', 'local'])).out, 'local\n')
  assert.match((await run(['queues', 'pause', 'oci://[::1]:5000', '--json'])).out, /^\{"id":"~::1~:5000",.*"pause":\{/)

  const { out } = await run(['queues'], true)
  const lines = out.trimEnd().split('\n')
  for (const line of lines) assert.ok(line.length <= 80, line)
  assert.match(lines[0] ?? '', /^QUEUE +WAITING +RUNNING +RETRYING +PAUSED +OLDEST +\/MIN$/)
  assert.match(
    out,
    /^ghcr\.io +1 +0\/8 +0 +0 +\d+s +0\n {2}the queue of ghcr\.io is paused by anonymous since .*\n {2}.*how long$/m,
  )
  assert.match(out, /^a-registry-with-a-long-name\.e… +1 /m)
  assert.match(out, /^local .*\n {2}paused by anonymous since /m)
  assert.ok((await run(['queues'])).out.includes(why), 'all of it, where it is no screen')
  const rows = (await run(['queues', '--json'])).out.trimEnd().split('\n')
  assert.deepEqual(
    rows.map((row) => (JSON.parse(row) as { host: string }).host),
    ['[::1]:5000', LONG, 'ghcr.io', 'local'],
  )
  assert.equal((await run(['queues', '--quiet'])).out.split('\n').length, 5)
  assert.equal((await run(['queues', 'resume', 'ghcr.io'])).out, 'the queue of ghcr.io goes on; 1 job waits\n')
  assert.equal((await run(['queues', 'resume', 'local'])).out, 'the queue of local goes on; no jobs wait\n')
  const wrong = await run(['queues', 'pause', 'ghcr.io/team'])
  assert.equal(wrong.exit, 1)
  assert.match(wrong.err, /is more than the host of a registry/)
})
