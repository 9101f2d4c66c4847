import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { formatBytes, percentOf } from '../../../src/ui/format/bytes.ts'
import { partsOf, sentenceOf } from '../../../src/ui/format/job-words.ts'
import { nameOf, placeOf } from '../../../src/ui/format/references.ts'
import { formatDuration, formatRelative } from '../../../src/ui/format/time.ts'
import { asCurl, quoted } from '../../../src/ui/pages/job/as-curl.ts'
import { createArranger } from '../../../src/ui/pages/job/layers.ts'

type Told = Parameters<typeof sentenceOf>[0]

const PROGRESS: Told['progress'] = {
  phase: 'transferring',
  bytesTotal: 100,
  bytesTotalEstimate: null,
  bytesDone: 40,
  bytesSkipped: 10,
  bytesMounted: 10,
  bytesResumed: 5,
  bytesSent: 15,
  wireBytes: 15,
  sourceBytesRead: 0,
  sourceBytes: null,
  layers: { total: 12, done: 3, skipped: 1, mounted: 1, failed: 0 },
  bytesPerSecond: 84 * 1024 * 1024,
  etaSeconds: 41,
  reason: null,
  retryAt: null,
  updatedAt: '2026-11-30T00:00:00Z',
}

function job(changes: Partial<Told>): Told {
  return { kind: 'publish', state: 'running', reason: null, error: null, progress: PROGRESS, ...changes } as Told
}

test('bytes are in IEC units, and 100 % is said of what is whole alone', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 1048525, 10 * 1024 ** 3].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '1.0 MiB',
    '10.0 GiB',
  ])
  assert.deepEqual(
    [percentOf(999_999, 1_000_000), percentOf(1, 1), percentOf(0, 0), percentOf(5, null)],
    [99.9, 100, 100, null],
  )
})

test('times are told in two units, distances in one', () => {
  assert.deepEqual([0, 41_000, 200_000, 7_500_000, 273_600_000].map(formatDuration), [
    '0 s',
    '41 s',
    '3 min 20 s',
    '2 h 5 min',
    '3 d 4 h',
  ])
  assert.deepEqual(
    [formatRelative(0, 1000), formatRelative(0, 300_000), formatRelative(7_200_000, 0)],
    ['now', '5 min ago', 'in 2 h'],
  )
})

test('one line tells what is going on', () => {
  const taken = Date.parse(PROGRESS.updatedAt)
  assert.equal(sentenceOf(job({}), taken + 1000), 'sending at 84.0 MiB/s, 3 of 12 layers done, 41 s left')
  assert.equal(sentenceOf(job({}), taken + 75_000), 'nothing has moved for 1 min 15 s, 3 of 12 layers done')
  const reason = 'waits for room in the store: 12 GiB more'
  assert.equal(sentenceOf(job({ state: 'queued', reason }), 0), reason)
  const waits = { ...PROGRESS, reason: 'ghcr.io asked for that', retryAt: new Date(60_000).toISOString() }
  assert.match(sentenceOf(job({ progress: waits }), 0), /^ghcr\.io asked for that, again at .*, in 1 min$/)
  const told = { ...PROGRESS, reason: 'try 4 of 6 at 00:01:00 UTC', retryAt: new Date(60_000).toISOString() }
  assert.equal(sentenceOf(job({ progress: told }), 0), 'try 4 of 6 at 00:01:00 UTC, in 1 min')
  assert.equal(sentenceOf(job({ state: 'some-new-state' as Told['state'] }), 0), 'some-new-state')
})

test('the parts of a bar are what bytesDone is made of', () => {
  assert.equal(
    partsOf(PROGRESS).reduce((sum, { bytes }) => sum + bytes, 0),
    PROGRESS.bytesDone,
  )
})

test('a job is called after its package, as soon as that is known', () => {
  const source = `oci://ghcr.io/team/nemo@sha256:${'a'.repeat(64)}`
  assert.equal(nameOf({ kind: 'pull', source, package: null }), `nemo@sha256:${'a'.repeat(12)}…`)
  const about = { name: 'nemo', version: '1.2.0', architecture: 'amd64', flavor: null }
  assert.equal(nameOf({ kind: 'pull', source, package: about }), 'nemo 1.2.0')
  assert.equal(placeOf('oci://ghcr.io/team'), 'ghcr.io/team')
})

test('what is copied for a shell is one argument there, whatever stands in it', () => {
  const hostile = `it's "$(touch /tmp/x)" \`id\` \\ \n$HOME`
  assert.equal(execFileSync('sh', ['-c', `printf %s ${quoted(hostile)}`], { encoding: 'utf8' }), hostile)
  const told = { kind: 'pull', source: hostile, destination: null, options: {}, labels: {} } as unknown as Told
  const argument = /-d ('[^]*)$/.exec(asCurl(told, { origin: 'http://127.0.0.1:8420', token: true }))?.[1] ?? ''
  const body = execFileSync('sh', ['-c', `printf %s ${argument}`], { encoding: 'utf8' })
  assert.deepEqual(JSON.parse(body), { kind: 'pull', source: hostile })
})

test('layers come failed and moving ones first, and the largest before others', () => {
  const layer = (title: string, state: string, size: number) => ({ title, state, size, digest: `sha256:${title}` })
  const layers = [
    layer('a', 'complete', 9),
    layer('b', 'active', 1),
    layer('c', 'active', 5),
    layer('d', 'failed', 1),
  ] as never
  const arranged = createArranger()
  const titlesOf = (some: never, arrangement: Parameters<typeof arranged>[1]) =>
    arranged(some, arrangement).map(({ title }) => title)
  const titles = (arrangement: Parameters<typeof arranged>[1]) => titlesOf(layers, arrangement)
  assert.deepEqual(titles({ sort: 'active', group: 'all', text: '' }), ['d', 'c', 'b', 'a'])
  assert.deepEqual(titles({ sort: 'largest', group: 'moving', text: '' }), ['c', 'b'])
  assert.deepEqual(titles({ sort: 'in order', group: 'all', text: ' B ' }), ['b'])
  const grown = [layer('a', 'active', 9), layer('b', 'complete', 7), layer('e', 'active', 2)] as never
  assert.deepEqual(titlesOf(grown, { sort: 'active', group: 'all', text: '' }), ['a', 'e', 'b'])
  const other = [layer('a', 'active', 1), layer('b', 'complete', 7), layer('e', 'active', 2)] as never
  assert.deepEqual(titlesOf(other, { sort: 'largest', group: 'all', text: '' }), ['b', 'e', 'a'])
})
