import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { terminalOf } from '../../../src/cli/client/terminal.ts'
import { formatTable } from '../../../src/cli/view/format.ts'
import { barRenderer, lineRenderer } from '../../../src/cli/view/renderers.ts'
import { defer } from '../../helpers/cleanup.ts'
import { pipeTerminal, runCommand } from '../../helpers/processes/cli-program.ts'

/** Sets a window's title, clears the screen by one character, turns text around, begins a line, deletes. */
const EVIL = '\u001b]0;owned\u0007 \u009b2J \u202egnp.exe\u2069 \u2028end\u007f'
const SHOWN = '\\u001b]0;owned\\u0007 \\u009b2J \\u202egnp.exe\\u2069 \\u2028end\\u007f'
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

/** A daemon that says this to every request. */
async function daemonSaying(t: TestContext, status: number, body: unknown): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  defer(t, () => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const stored = { name: EVIL, version: EVIL, flavor: EVIL, architecture: EVIL, size: 1, digest: EVIL }
const remote = {
  reference: EVIL,
  digest: EVIL,
  name: EVIL,
  version: EVIL,
  architecture: EVIL,
  architectures: [EVIL],
  size: 1,
  layers: [],
  signed: false,
  tags: [EVIL],
  components: [{ name: EVIL, required: true, default: false, images: [] }],
}
const refusal = {
  type: '/docs/errors#REGISTRY_DENIED',
  title: EVIL,
  status: 403,
  detail: EVIL,
  hint: EVIL,
  code: 'REGISTRY_DENIED',
  retryable: false,
  upstream: { registry: EVIL, ociCode: EVIL },
}

for (const [name, argv, status, body] of [
  ['packages', ['packages'], 200, { items: [stored] }],
  ['inspect', ['inspect', 'oci://r.example/a:1'], 200, remote],
  ['tags', ['tags', 'oci://r.example/a'], 200, { reference: EVIL, tags: [EVIL] }],
  [
    'the list of SBOMs',
    ['inspect', 'oci://r.example/a:1', 'sbom'],
    200,
    { files: [{ name: EVIL, size: 1, kind: 'sbom' }] },
  ],
  [
    'manifests',
    ['inspect', 'oci://r.example/a:1', 'manifests'],
    200,
    { components: [{ name: EVIL, files: [{ name: EVIL, size: 1, content: EVIL }] }] },
  ],
  ['uploads', ['uploads'], 200, { items: [{ id: EVIL, name: EVIL, size: 1, sha256: EVIL }] }],
  ['a worker', ['workers', 'resume', 'w'], 200, { items: [{ id: EVIL }], id: EVIL, jobs: [], state: 'running' }],
  ['a refusal', ['inspect', 'oci://r.example/a:1'], 403, refusal],
] as const) {
  test(`what came from elsewhere is shown by the terminal, not obeyed: ${name}`, async (t) => {
    const io = pipeTerminal(await daemonSaying(t, status, body))
    await runCommand(argv, io.terminal)
    const said = `${io.out()}${io.err()}`
    assert.ok(said.includes('\\u001b]0;owned\\u0007'), said)
    assert.doesNotMatch(said.replaceAll('\n', ''), UNSEEN)
  })
}

test('JSON says the same as before, in characters that are seen', async (t) => {
  const io = pipeTerminal(await daemonSaying(t, 200, { items: [stored] }))
  assert.equal(await runCommand(['packages', '--json'], io.terminal), 0)
  const said = io.out()
  assert.doesNotMatch(said.trimEnd(), UNSEEN)
  assert.deepEqual(JSON.parse(said), stored)
})

test('no cell of a table begins a line of its own', () => {
  const lines = formatTable([['NAME'], ['a\nfake  1.0.0'], [EVIL]])
    .trimEnd()
    .split('\n')
  assert.deepEqual(lines, ['NAME', 'a\\u000afake  1.0.0', SHOWN])
})

test('titles and notices between bars and lines are shown too', () => {
  const size = 100 * 1024 * 1024
  const events = [
    { type: 'log', level: 'info', message: EVIL },
    { type: 'warning', code: 'X', message: EVIL },
    { type: 'transfer', transfers: [{ digest: 'sha256:1', title: EVIL, size, state: 'active', bytesDone: 1 }] },
  ]
  for (const columns of [undefined, 200]) {
    const io = pipeTerminal()
    const stderr = Object.assign(io.terminal.stderr, columns === undefined ? {} : { isTTY: true, columns, rows: 24 })
    const terminal = terminalOf({ ...io.terminal, stderr })
    const renderer = columns === undefined ? lineRenderer(terminal) : barRenderer(terminal)
    for (const event of events) renderer.event(event as never)
    renderer.stop()
    const said = io.err()
    assert.ok(said.includes('\\u001b]0;owned\\u0007'), said)
    // What is left are the bars' own: they move, clear, hide the cursor and set wrapping.
    // oxlint-disable-next-line no-control-regex -- that is what is looked for
    const own = /\u001b\[(?:\d*[A-DGJK]|\?25[lh]|\?7[lh])/g
    assert.doesNotMatch(said.replaceAll(own, '').replaceAll(/[\n\r]/g, ''), UNSEEN)
  }
})
