import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Stats } from '../../../src/cli/client/contract.ts'
import { sparkline, statsText } from '../../../src/cli/view/stats-text.ts'

const GIB = 1024 ** 3
const SCREEN = { columns: 80, ascii: false, quiet: false }

function figures(sent: readonly number[], jobs = 0) {
  const none = sent.map(() => 0)
  const sum = sent.reduce((all, one) => all + one, 0)
  const zeros = {
    jobsBegun: 0,
    jobsSucceeded: 0,
    jobsFailed: 0,
    jobsCanceled: 0,
    bytesReceived: 0,
    wireBytesReceived: 0,
  }
  return {
    totals: { ...zeros, bytesSent: sum, wireBytesSent: sum, jobsBegun: jobs, jobsSucceeded: jobs },
    series: {
      ...Object.fromEntries(Object.keys(zeros).map((name) => [name, none])),
      bytesSent: [...sent],
      wireBytesSent: [...sent],
    } as Stats['series'],
  }
}

function stats(sent: readonly number[], changes: Partial<Stats> = {}): Stats {
  return {
    window: '1h',
    resolution: 'minute',
    since: '2026-11-30T12:00:00.000Z',
    until: '2026-11-30T13:00:00.000Z',
    now: '2026-11-30T12:59:30.000Z',
    times: sent.map((_, at) => at * 60),
    ...figures(sent, 3),
    registries: [],
    otherRegistries: null,
    kinds: [],
    ...changes,
  }
}

test('a sparkline has a character for each figure, as high as it is beside the largest', () => {
  assert.equal(sparkline([0, 1, 4, 8], 10, false), ' ▁▄█')
  assert.equal(sparkline([0, 1, 4, 8], 10, true), ' .=#')
  assert.equal(sparkline([0, 0], 10, false), '  ')
  // The newest ones are whole.
  assert.equal(sparkline([8, 1, 1, 2, 2], 3, false), '█▂▄')
  assert.equal(
    sparkline(
      Array.from({ length: 168 }, () => 5),
      60,
      false,
    ).length,
    56,
  )
})

test('figures fit a screen of 80 columns, whatever registries are called', () => {
  const sent = Array.from({ length: 168 }, (_, at) => at * GIB * 1000)
  const names = ['ghcr.io', `${'long-name.'.repeat(20)}example:5000`, '\u001b[2Jclear.example']
  const registries = names.map((registry) => ({ registry, ...figures(sent, 99_999) }))
  const kinds = ['publish', 'pull'].map((kind) => ({ kind, ...figures(sent, 5) }))
  const text = statsText(stats(sent, { registries, kinds, otherRegistries: figures(sent, 7) }), SCREEN)
  for (const line of text.split('\n')) assert.ok(line.length <= 80, `${line.length}: ${line}`)
  assert.match(
    text,
    /^from 2026-11-30 12:00 to 2026-11-30 12:59 UTC, by minute\nsent +\d+ TiB +[▁▂▃▄▅▆▇█ ]+█\nreceived +0 B\n/,
  )
  assert.match(text, /\njobs +3 begun, 3 succeeded, 0 failed, 0 canceled\n\nREGISTRY +SENT +RECEIVED /)
  assert.match(text, /\nghcr\.io .* 99999 +99999 +0 +0\nlong-name\.long-name\.lon… /)
  assert.match(text, /\nall others .*\n\nKIND .*\npublish .*\npull /)
  assert.ok(!text.includes('\u001b'))
})

test('a pipe gets no sparkline and whole names, quiet the rows of registries alone', () => {
  const name = `${'long-name.'.repeat(20)}example:5000`
  const told = stats([1, 2], { registries: [{ registry: name, ...figures([1, 2], 1) }] })
  const text = statsText(told, { ...SCREEN, columns: undefined })
  assert.ok(text.includes(`\n${name}  3 B`))
  assert.match(text, /^sent +3 B$/m)
  assert.match(
    statsText(told, { columns: undefined, ascii: false, quiet: true }),
    /^long-name\S+ +3 B +0 B +1 +1 +0 +0\n$/,
  )
})

test('where nothing was it says so in few lines', () => {
  const text = statsText(stats([0, 0], figures([0, 0])), SCREEN)
  assert.equal(text.split('\n').length, 5)
  assert.match(text, /\njobs +0 begun, 0 succeeded, 0 failed, 0 canceled\n$/)
})
