import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createLayerd, type FleetEvent as ClientEvent, LayerdError } from '../../clients/typescript/src/index.ts'
import { initialProgress } from '../../src/jobs/record/record.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { begin, newJob, RESULT, type TestJobs } from '../helpers/redis/jobs.ts'
import type { FleetEvent } from '../helpers/streams/fleet.ts'
import { startApp } from '../helpers/streams/http-app.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** `layerd jobs --follow ...`, until it is interrupted. */
function follow(
  url: string,
  args: readonly string[],
  screen: { isTTY?: boolean; columns?: number; rows?: number } = {},
) {
  const { terminal } = pipeTerminal(url)
  let out = ''
  let interrupt = () => {}
  for (const stream of [terminal.stdout, terminal.stderr]) {
    Object.assign(stream, screen)
    stream.on('data', (data: Buffer) => (out += data.toString()))
  }
  const onInterrupt = (listener: () => void) => {
    interrupt = listener
    return () => {}
  }
  const exit = runCommand(['jobs', '--follow', ...args], { ...terminal, onInterrupt })
  return { out: () => out, interrupt: () => interrupt(), exit }
}

async function whole(jobs: TestJobs, labels: Record<string, string> = {}): Promise<string> {
  const { job } = await jobs.queue.create(newJob({ labels }))
  const { epoch } = await begin(jobs, job)
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  return job.id
}

async function start(t: TestContext) {
  const server = await startApp(t, { streams: { tickMs: 50 } })
  return { ...server, url: await server.listen() }
}

test('a pipe gets a line for each change, by the filters, or events as JSON, or ids', async (t) => {
  const { jobs, url } = await start(t)
  const args = ['--label', 'team=a', '--state', 'running', '--state', 'succeeded']
  const plain = follow(url, args)
  const json = follow(url, ['--json'])
  const quiet = follow(url, ['--quiet', ...args])
  await waitFor('the snapshot', () => json.out().includes('"snapshot"'))
  // What opened before these jobs hears of all of them.
  await waitFor('two more streams', async () => {
    const id = await whole(jobs, { team: 'a' })
    return [plain, quiet].every((each) => each.out().includes(id))
  })
  const id = await whole(jobs, { team: 'a' })
  const other = await whole(jobs, { team: 'b' })
  const linesOf = (text: string, of: string) => text.split('\n').filter((line) => line.includes(of))
  await waitFor('all of it', () => linesOf(plain.out(), id).length === 2 && linesOf(json.out(), other).length === 3)
  assert.match(
    linesOf(plain.out(), id).join('\n'),
    /^\d{4}-\S+Z \S+ running publish nemo 1\.2\.0 -> oci:\/\/registry\.example:5000\/team\n\S+ \S+ succeeded publish nemo 1\.2\.0 -> \S+$/,
  )
  assert.deepEqual(linesOf(plain.out(), other), [])
  assert.deepEqual(linesOf(quiet.out(), id), [id, id])
  const events = linesOf(json.out(), id).map((line) => JSON.parse(line) as FleetEvent)
  assert.deepEqual(
    events.map(({ type }) => type),
    ['created', 'state', 'end'],
  )
  for (const each of [plain, json, quiet]) each.interrupt()
  assert.deepEqual(await Promise.all([plain, json, quiet].map(({ exit }) => exit)), [130, 130, 130])
})

test('a screen shows a table that is drawn over itself, in its width and height', async (t) => {
  const { jobs, url } = await start(t)
  for (let at = 0; at < 12; at += 1) await whole(jobs)
  const { job } = await jobs.queue.create(newJob())
  const { epoch } = await begin(jobs, job)
  const { out, interrupt, exit } = follow(url, [], { isTTY: true, columns: 80, rows: 12 })
  const screen = () => (out().split('\u001B[J').at(-1) ?? '').trimEnd().split('\n')
  await waitFor('the table', () => screen().some((line) => line.includes('running')))
  const progress = { ...initialProgress(new Date().toISOString()), bytesTotal: 1000, bytesDone: 340 }
  await jobs.runs.report(job.id, epoch, { progress })
  await waitFor('the progress', () => screen().some((line) => line.includes('running') && line.includes('34 %')))
  assert.ok(screen()[1]?.includes(job.id.slice(0, 13)))
  await jobs.runs.finish(job.id, epoch, { state: 'succeeded', result: RESULT })
  await waitFor('the end', () => screen().every((line) => !line.includes('running')))
  interrupt()
  assert.equal(await exit, 130)
  const lines = screen()
  assert.equal(lines.length, 11)
  assert.ok(lines.every((line) => line.length <= 80))
})

test('a filter that streams do not have is refused, and a daemon that is not there is told', async (t) => {
  const { url } = await start(t)
  for (const option of ['--since', '--search', '--package']) {
    const refused = follow(url, [option, '2h'])
    assert.equal(await refused.exit, 2)
    assert.ok(refused.out().includes(`and not by ${option}`))
  }
  assert.equal(await follow('http://127.0.0.1:9', []).exit, 1)
})

test('the TypeScript client follows all jobs by a filter, and goes on where it stopped', async (t) => {
  const { jobs, url } = await start(t)
  const client = createLayerd({ url })
  const gone: ClientEvent[] = []
  const read = async (many: number, lastEventId?: string) => {
    const options = lastEventId === undefined ? {} : { lastEventId }
    for await (const event of client.followAll({ label: ['team=a'], state: ['succeeded'] }, options)) {
      if (event.type !== 'ping') gone.push(event)
      if (gone.length === many) return
    }
  }
  await read(1)
  assert.equal(gone[0]?.type, 'snapshot')
  const id = await whole(jobs, { team: 'a' })
  await whole(jobs, { team: 'b' })
  const [[first] = []] = await jobs.raw.xrange('{layerd}:fleet', '-', '+', 'COUNT', 1)
  await read(2, first)
  assert.deepEqual([gone[1]?.type, gone[1]?.type === 'end' && gone[1].jobId], ['end', id])
  await assert.rejects(client.followAll({ state: ['nonsense' as 'queued'] }).next(), LayerdError)
})
