import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { silence } from '../helpers/redis/jobs.ts'
import { factsOf, wordOf } from '../helpers/redis/worker-facts.ts'
import { startApp } from '../helpers/streams/http-app.ts'

const POD = 'layerd-worker-7d9f6b9c9d-x2zlq-1f4-mhrk2x9d'

test('layerd workers lists them, drains one by the beginning of its id, and lets it go on', async (t) => {
  const { jobs, listen } = await startApp(t)
  const api = await listen()
  const run = async (argv: readonly string[], columns?: number) => {
    const { terminal, out, err } = pipeTerminal(api)
    if (columns !== undefined) Object.assign(terminal.stdout, { columns, isTTY: true })
    const exit = await runCommand(argv, terminal)
    return { exit, out: out(), err: err() }
  }
  const running = [{ id: 'job-1', kind: 'publish' as const, since: 1 }]
  const used = { memory: { rssBytes: 171_753_472, heapBytes: 1 }, bytesPerSecond: { in: 0, out: 88_080_384 } }
  await jobs.runs.heartbeat('1c6f0a2b-mhrk2x9d-1.1', wordOf({ host: 'a', jobs: running, ...used }))
  await jobs.runs.heartbeat('1c6f0a2b-mhrk2x9d-2.1', wordOf({ host: 'a' }))
  await jobs.runs.heartbeat(POD, wordOf({ host: 'b' }))
  await silence(jobs, POD, 100_000)

  const wide = await run(['workers'])
  assert.deepEqual([wide.exit, wide.err], [0, ''])
  const [head, first, second, lost] = wide.out.split('\n').map((line) => line.split(/ {2,}/))
  assert.deepEqual(head, ['STATE', 'JOBS', 'MEMORY', 'IN/S', 'OUT/S', 'WORKER'])
  assert.deepEqual(first, ['running', '1/4', '164 MiB', '-', '84.0 MiB', '1c6f0a2b-mhrk2x9d-1.1'])
  assert.deepEqual(second?.slice(0, 2), ['running', '0/4'])
  assert.match(lost?.[0] ?? '', /^lost \d+s$/)
  assert.equal(lost?.at(-1), POD)
  for (const line of (await run(['workers'], 80)).out.split('\n')) assert.ok(line.length <= 80, line)
  const json = (await run(['workers', '--json'])).out.trim().split('\n')
  assert.deepEqual(
    json.map((line) => (JSON.parse(line) as { host: string }).host),
    ['a', 'a', 'b'],
  )

  const drained = await run(['workers', 'drain', '1c6f0a2b-mhrk2x9d-1'])
  assert.deepEqual(drained, {
    exit: 0,
    out: '1c6f0a2b-mhrk2x9d-1.1 takes no more jobs; 1 job still runs there\n',
    err: '',
  })
  const over = await run(['workers', 'drain', '1c6f0a2b-mhrk2x9d-1.1', '--hand-over', '--json'])
  assert.partialDeepStrictEqual(JSON.parse(over.out), { state: 'draining', drain: { handOver: true } })
  const several = await run(['workers', 'drain', '1c6f'])
  assert.deepEqual([several.exit, several.out], [2, ''])
  assert.match(several.err, /^2 workers begin with 1c6f/)
  assert.equal((await run(['workers', 'drain', 'nope'])).exit, 1)
  const gone = await run(['workers', 'drain', POD, '--wait'])
  assert.equal(gone.exit, 1)
  assert.match(gone.err, /has given no sign since/)

  const waiting = run(['workers', 'drain', '1c6f0a2b-mhrk2x9d-1.1', '--wait'])
  const { drain } = await jobs.runs.heartbeat('1c6f0a2b-mhrk2x9d-1.1', wordOf({ host: 'a', jobs: running }))
  await jobs.runs.heartbeat('1c6f0a2b-mhrk2x9d-1.1', { places: 4, facts: factsOf(), obeyed: drain, rests: true })
  assert.match((await waiting).out, /takes no more jobs, and none runs there\n$/)
  const resumed = await run(['workers', 'resume', '1c6f0a2b-mhrk2x9d-1.1', '--quiet'])
  assert.deepEqual([resumed.exit, resumed.out], [0, '1c6f0a2b-mhrk2x9d-1.1\n'])
  assert.equal((await jobs.queue.workers.get('1c6f0a2b-mhrk2x9d-1.1'))?.state, 'running')
})
