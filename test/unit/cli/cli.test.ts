import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteProgress } from '../../../src/cli/view/byte-progress.ts'
import type { StreamedEvent } from '../../../src/cli/client/api-client.ts'
import {
  formatBytes,
  formatDuration,
  formatSeconds,
  formatTable,
  formatTimeLeft,
} from '../../../src/cli/view/format.ts'
import { barRenderer, lineRenderer } from '../../../src/cli/view/renderers.ts'
import { problemText } from '../../../src/cli/view/texts.ts'

import { terminalOf } from '../../../src/cli/client/terminal.ts'
import { pipeTerminal as terminal, runCommand } from '../../helpers/processes/cli-program.ts'

const MIB = 1024 * 1024

test('bytes and times read like a person writes them', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 5 * 1024 ** 3, 250 * 1024 ** 2].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '5.0 GiB',
    '250 MiB',
  ])
  assert.deepEqual([0.2, 59, 60, 3725].map(formatSeconds), ['1 s', '59 s', '1 min 0 s', '1 h 2 min'])
  assert.deepEqual([3, 106, 949, 950, 1499, 59_600].map(formatDuration), [
    '0.1 s',
    '0.1 s',
    '0.9 s',
    '1 s',
    '1 s',
    '1 min 0 s',
  ])
  assert.deepEqual([0.2, 599, 754, 3725].map(formatTimeLeft), [
    '1 s left',
    '9 min 59 s left',
    '13 min left',
    '1 h 2 min left',
  ])
})

test('a table has columns as wide as their widest cell', () => {
  assert.equal(
    formatTable([
      ['a', 'bb'],
      ['ccc', 'd'],
    ]),
    'a    bb\nccc  d\n',
  )
})

test('wrong use is told in one line with exit code 2, with what was most likely meant', async () => {
  for (const [argv, pattern] of [
    [['publish', 'only-one'], /missing required argument 'destination'/],
    [['publish', 'a', 'b', '--nonsense'], /unknown option '--nonsense'/],
    [['pubish'], /^layerd: unknown command 'pubish' \(did you mean publish\?\)$/m],
    [['jobs', '--stat', 'failed'], /'--stat' \(did you mean --state\?\)/],
    [['toString'], /unknown command/],
    [['jobs', 'too', 'many'], /too many arguments/],
    [['jobs', '--limit', '1000'], /from 1 to 200/],
    [['jobs', '--since', 'yesterday'], /such as 30m, 2h, 7d/],
    [['publish', '/nowhere.tar.zst', 'oci://r.io', '--concurrency', 'many'], /whole number/],
    [['publish', '/nowhere.tar.zst', 'oci://r.io', '--username', 'me'], /--password-stdin/],
    [['publish', '/nowhere.tar.zst', 'oci://r.io', '--label', 'plain'], /key=value/],
    [['publish', '/nowhere.tar.zst', 'oci://r.io', '--manifest', 'list'], /choices are image, artifact, auto/],
    [['completion', 'csh'], /bash, zsh, fish/],
  ] as const) {
    const io = terminal()
    assert.equal(await runCommand(argv, io.terminal), 2, argv.join(' '))
    const told = io.err()
    assert.match(told, pattern)
    assert.equal(told.split('\n').length, 2, told)
  }
})

test('every command explains itself within 80 columns, with its exit codes', async () => {
  const io = terminal()
  assert.equal(await runCommand(['--help'], io.terminal), 0)
  const overview = io.out()
  const commands = [...overview.matchAll(/^ {2}([a-z]+)(?: [<[].*?)? {2,}/gm)].map(([, name = '']) => name)
  assert.deepEqual(
    commands.toSorted(),
    'apply attach audit bundle cancel catalog completion copy delete deploy diff download files help inspect jobs keys link login logout logs mirror packages pause ping policies publish pull push queues referrers registries remove resume retention retry rm runs search serve settings show stats store system tags tokens trace uploads verify watch worker workers'.split(
      ' ',
    ),
  )
  for (const command of commands.filter((name) => name !== 'help')) {
    assert.equal(await runCommand([command, '--help'], io.terminal), 0)
    const help = io.out()
    assert.match(help, new RegExp(`^Usage: layerd ${command}`))
    if (command !== 'store' && command !== 'completion') assert.match(help, /Exit codes: 0 success/)
    for (const line of `${overview}${help}`.split('\n')) assert.ok(line.length <= 80, line)
  }
  assert.equal(await runCommand(['--version'], io.terminal), 0)
  assert.equal(io.out(), 'layerd 1.2.3\n')
})

test('a daemon that is not there is named, with what to do', async () => {
  const io = terminal()
  assert.equal(await runCommand(['jobs'], io.terminal), 1)
  assert.match(io.err(), /no daemon answers at http:\/\/127\.0\.0\.1:9[^]*LAYERD_URL/)
})

test('a problem is one block: what, where, what to do', () => {
  const text = problemText({
    type: '/docs/errors#REGISTRY_DENIED',
    title: 'The registry denied the access',
    status: 502,
    detail: 'push of a.tar was denied',
    code: 'REGISTRY_DENIED',
    retryable: false,
    hint: 'Ask for write access.',
    upstream: { registry: 'r.io', repository: 'team/nemo', status: 403, ociCode: 'DENIED' },
  })
  assert.equal(
    text,
    'The registry denied the access (REGISTRY_DENIED)\n  push of a.tar was denied\n  at r.io team/nemo HTTP 403 DENIED\n  Ask for write access.',
  )
})

test('plain lines stay calm: the plan, then one line in five seconds', () => {
  const io = terminal()
  let now = 10_000
  const renderer = lineRenderer(terminalOf(io.terminal), () => now)
  const event = (type: 'plan' | 'progress', bytesDone: number): StreamedEvent => ({
    type,
    jobId: 'x',
    seq: 1,
    time: '',
    attempt: 1,
    transfers: [],
    progress: {
      phase: 'transferring',
      bytesTotal: 2048,
      bytesTotalEstimate: null,
      bytesDone,
      bytesSkipped: 0,
      bytesMounted: 0,
      bytesResumed: 0,
      bytesSent: bytesDone,
      wireBytes: bytesDone,
      sourceBytesRead: 0,
      sourceBytes: null,
      layers: { total: 2, done: 1, skipped: 0, mounted: 0, failed: 0 },
      bytesPerSecond: 512,
      etaSeconds: 2,
      reason: null,
      retryAt: null,
      updatedAt: '',
    },
  })
  renderer.event(event('plan', 0))
  for (let at = 0; at < 20; at += 1) {
    renderer.event(event('progress', at * 10))
    now += 250
  }
  renderer.event(event('progress', 1024))
  assert.deepEqual(io.err().trimEnd().split('\n'), [
    'plan: 2 layers, 2.0 KiB',
    'moving 1 of 2 layers · 0 B of 2.0 KiB · 512 B/s · 2 s left',
    'moving 1 of 2 layers · 1.0 KiB of 2.0 KiB · 512 B/s · 2 s left',
  ])
})

/** A terminal of 40 columns. */
function screen() {
  const { terminal: plain, err } = terminal()
  const stderr = Object.assign(plain.stderr, { isTTY: true, columns: 40, rows: 24 })
  return { terminal: terminalOf({ ...plain, stderr }), err }
}

function layerEvent(state: string, bytesDone: number): StreamedEvent {
  const title = `images/blobs/sha256/${'ab'.repeat(32)}`
  return { type: 'transfer', transfers: [{ digest: 'sha256:1', title, size: 100 * MIB, state, bytesDone }] } as never
}

test('bars name a layer short, fold long notices, and leave the screen alone once it was given back', () => {
  const { terminal: shown, err } = screen()
  const renderer = barRenderer(shown)
  renderer.event({ type: 'log', level: 'info', message: `pulling ${'x'.repeat(60)}` } as never)
  renderer.event(layerEvent('active', 40 * MIB))
  renderer.stop()
  const drawn = err()
  assert.match(drawn, /\u2588+\u2591+ +40% +100 MiB images\/blobs\/sha256\/abababababab\u2026/)
  assert.ok(drawn.includes(`pulling ${'x'.repeat(32)}\n${'x'.repeat(28)}\n`), drawn)
  assert.ok(drawn.endsWith('\u001b[0J'), 'the bars are cleared')
  renderer.event(layerEvent('active', 60 * MIB))
  renderer.event(layerEvent('complete', 100 * MIB))
  renderer.stop()
  assert.equal(err(), '')
})

test('on 80 columns the line of a large package has room for its time left', () => {
  const { terminal: shown, err } = screen()
  const renderer = barRenderer(shown)
  const progress = {
    phase: 'transferring',
    layers: { total: 1484, done: 1012, skipped: 0, mounted: 0, failed: 0 },
    bytesTotal: null,
    bytesTotalEstimate: 512 * MIB,
    bytesDone: 128 * MIB,
    bytesPerSecond: 97.5 * MIB,
    etaSeconds: 754,
    reason: null,
    retryAt: null,
  }
  renderer.event({ type: 'snapshot', job: { kind: 'publish', state: 'running', progress }, transfers: [] } as never)
  renderer.stop()
  const drawn = err().match(/[█░]+ .* left/)?.[0] ?? ''
  assert.match(drawn, /^█+░+ +25% +~512 MiB sending 1012 of 1484 layers · 97\.5 MiB\/s · 13 min left$/)
  assert.ok(drawn.length <= 80, `${drawn.length} columns: ${drawn}`)
})

test('bytes between daemon and command line are a bar, calm lines, or nothing', () => {
  let time = 0
  const now = () => time
  const plain = terminal()
  using lines = byteProgress(terminalOf(plain.terminal), { verb: 'saving', silent: false, now })
  for (const [at, bytes] of [
    [1000, 1024],
    [5000, 2048],
    [6000, 4096],
  ] as const) {
    time = at
    lines.update(bytes, 4096)
  }
  assert.equal(plain.err(), 'saving: 2.0 KiB of 4.0 KiB, 410 B/s\n')
  const tty = screen()
  const bar = byteProgress(tty.terminal, { verb: 'uploading', silent: false })
  bar.update(1024, 4096)
  bar[Symbol.dispose]()
  assert.match(tty.err(), /25% +4\.0 KiB uploading, /)
  const quiet = screen()
  byteProgress(quiet.terminal, { verb: 'saving', silent: true }).update(1, 2)
  assert.equal(quiet.err(), '')
})
