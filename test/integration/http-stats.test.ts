import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Problem } from '../../src/jobs/model/definitions.ts'
import type { Stats } from '../../src/http/schemas/system/stats.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { newJob } from '../helpers/redis/jobs.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { totalsOf } from '../helpers/redis/stats.ts'
import { tokenLine } from '../helpers/streams/tokens.ts'
import { startTokenApp } from '../helpers/streams/token-app.ts'

const HOST = 'registry.example:5000'
const TOKENS = [
  tokenLine('watcher', 'system:read'),
  tokenLine('whole', `system:read registries=${HOST}`),
  tokenLine('part', `system:read repositories=${HOST}/team/**`),
  tokenLine('kinds', 'system:read kinds=pull'),
  tokenLine('jobs', 'jobs:read'),
].join('')

describe('GET /v1/stats', () => {
  const stack = new CleanupStack()
  let bed: Awaited<ReturnType<typeof startTokenApp>>
  before(async () => {
    bed = await startTokenApp(stack, TOKENS)
    for (const host of [HOST, HOST, 'hidden.example']) {
      const { job } = await bed.jobs.queue.create(newJob({ queueHost: host, registries: [host] }))
      await bed.jobs.queue.cancel(job.id)
    }
  })
  after(() => stack[Symbol.asyncDispose]())

  const ask = (query: string, by = 'watcher', headers: Record<string, string> = {}) =>
    bed.ask(by, { url: `/v1/stats${query}`, headers })
  const stats = async (query: string, by?: string): Promise<Stats> => {
    const answer = await ask(query, by)
    assert.equal(answer.statusCode, 200, answer.body)
    return answer.json<Stats>()
  }

  test('tells the last hour by minute, each series as long as the times', async () => {
    const told = await stats('')
    assert.deepEqual([told.window, told.resolution, told.times.length], ['1h', 'minute', 60])
    assert.equal(Date.parse(told.since) / 1000, told.times[0])
    assert.equal(Date.parse(told.until) - Date.parse(told.since), 3_600_000)
    assert.ok(told.since < told.now && told.now < told.until)
    assert.deepEqual(totalsOf(told), { jobsCanceled: 3 })
    for (const { series } of [told, ...told.registries, ...told.kinds]) {
      assert.deepEqual(new Set(Object.values(series).map(({ length }) => length)), new Set([60]))
    }
    assert.deepEqual(
      told.registries.map((one) => [one.registry, totalsOf(one)]),
      [
        [HOST, { jobsCanceled: 2 }],
        ['hidden.example', { jobsCanceled: 1 }],
      ],
    )
    assert.deepEqual([told.otherRegistries, told.kinds.map(({ kind }) => kind)], [null, ['publish']])
  })

  test('tells other windows, one registry, some kinds', async () => {
    for (const [window, resolution, length] of [
      ['7d', 'hour', 168],
      ['P7D', 'hour', 168],
      ['1w', 'hour', 168],
      ['24h', 'hour', 24],
      ['P1DT12H', 'hour', 36],
      ['PT1H', 'minute', 60],
      ['PT15M', 'minute', 15],
      ['60m', 'minute', 60],
      ['120m', 'hour', 2],
      ['1m', 'minute', 1],
    ] as const) {
      const told = await stats(`?window=${window}`)
      assert.deepEqual([told.window, told.resolution, told.times.length], [window, resolution, length])
    }
    assert.deepEqual(totalsOf(await stats(`?window=2h&registry=${HOST.toUpperCase()}`)), { jobsCanceled: 2 })
    assert.deepEqual(totalsOf(await stats('?window=2h&registry=nowhere.example')), {})
    assert.deepEqual(totalsOf(await stats('?window=2h&kind=publish&kind=pull')), { jobsCanceled: 3 })
    assert.deepEqual(totalsOf(await stats(`?window=2h&kind=pull&registry=${HOST}`)), {})
  })

  test('refuses what it cannot tell, and says what it can', async () => {
    for (const window of [
      '0m',
      '61m',
      '90m',
      '169h',
      '8d',
      '30s',
      'P',
      'PT',
      'P1Y',
      'P1M',
      '1h30m',
      '-1h',
      'x',
      '1.5h',
      '',
    ]) {
      const answer = await ask(`?window=${encodeURIComponent(window)}`)
      const problem = answer.json<Problem>()
      assert.deepEqual([answer.statusCode, problem.code], [400, 'REQUEST_INVALID'], window)
      if (window !== '') assert.match(problem.hint ?? '', /1m to 60m.*2h to 168h/)
    }
    const expected = {
      'registry=a%20b': 'REFERENCE_INVALID',
      [`registry=${HOST}/team`]: 'REQUEST_INVALID',
      'kind=x': 'REQUEST_INVALID',
      'by=x': 'REQUEST_INVALID',
    }
    for (const [query, code] of Object.entries(expected)) {
      const answer = await ask(`?${query}`)
      assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [400, code], query)
    }
  })

  test('tells a limited token of a registry that it holds whole, and of nothing else', async () => {
    assert.deepEqual(totalsOf(await stats(`?window=2h&registry=${HOST}`, 'whole')), { jobsCanceled: 2 })
    assert.deepEqual(totalsOf(await stats('?window=2h', 'kinds')), { jobsCanceled: 3 })
    for (const [by, query, code] of [
      ['whole', '', 'TOKEN_LIMITED'],
      ['whole', '?registry=hidden.example', 'TOKEN_LIMITED'],
      ['whole', '?registry=nowhere.example', 'TOKEN_LIMITED'],
      ['part', `?registry=${HOST}`, 'TOKEN_LIMITED'],
      ['jobs', '', 'SCOPE_MISSING'],
    ] as const) {
      const answer = await ask(query, by)
      assert.deepEqual([answer.statusCode, answer.json<Problem>().code], [403, code], `${by} ${query}`)
    }
  })

  test('has an ETag for as long as nothing is counted and its times are the same', async () => {
    const url = '?window=7d&registry=etag.example'
    // An hour may begin in between.
    const { first, again } = await sameHour(async () => {
      const first = await ask(url)
      const again = await ask(url, 'watcher', { 'if-none-match': String(first.headers['etag']) })
      return { first, again }
    })
    assert.match(String(first.headers['etag']), /^W\/"[\w-]+"$/)
    assert.equal(first.headers['cache-control'], 'no-cache')
    assert.deepEqual([again.statusCode, again.body], [304, ''])
    const { job } = await bed.jobs.queue.create(newJob({ queueHost: 'etag.example' }))
    await bed.jobs.queue.cancel(job.id)
    const changed = await ask(url, 'watcher', { 'if-none-match': String(first.headers['etag']) })
    assert.equal(changed.statusCode, 200)
    assert.notEqual(changed.headers['etag'], first.headers['etag'])
  })

  test('is what layerd stats shows', async () => {
    const url = await bed.listen()
    const run = async (argv: readonly string[], token = 'watcher') => {
      const { terminal, out, err } = pipeTerminal(url)
      const exit = await runCommand(['stats', ...argv], { ...terminal, env: { url, token } })
      return { exit, out: out(), err: err() }
    }
    const shown = await run(['-w', '2h', '--registry', HOST])
    assert.deepEqual([shown.exit, shown.err], [0, ''])
    assert.match(shown.out, /^jobs +0 begun, 0 succeeded, 0 failed, 2 canceled$/m)
    assert.match(shown.out, /^registry\.example:5000 +0 B +0 B +0 +0 +0 +2$/m)
    const told = JSON.parse((await run(['--json', '--kind', 'publish', '--registry', HOST])).out) as Stats
    assert.deepEqual(totalsOf(told), { jobsCanceled: 2 })
    const refused = await run(['--window', '9d'])
    assert.deepEqual([refused.exit, refused.out], [1, ''])
    assert.match(refused.err, /no figures are kept for the window "9d"[^]*1m to 60m/)
    assert.match((await run([], 'whole')).err, /TOKEN_LIMITED/)
  })
})

async function sameHour<T>(task: () => Promise<T>): Promise<T> {
  for (;;) {
    const hour = () => Math.floor(Date.now() / 3_600_000)
    const begun = hour()
    const result = await task()
    if (hour() === begun) return result
  }
}
