import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { appendFile, readdir, readFile, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { createCalls } from '../../src/cli/client/calls.ts'
import { type ResumableOptions, sendResumably, type UploadStep } from '../../src/cli/client/resumable-upload.ts'
import { openSentFile } from '../../src/cli/client/sent-file.ts'
import { createTus, type Tus } from '../../src/cli/client/tus.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { startAnsweringProxy } from '../helpers/network/answering-proxy.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { pipeTerminal, runCommand } from '../helpers/processes/cli-program.ts'
import { startApp, type TestApp } from '../helpers/streams/http-app.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

const stack = new CleanupStack()
let app: TestApp
let url: string
before(async () => {
  app = await startApp(stack, { uploadLimits: { maxBytes: 66 * MIB, partialsPerPrincipal: 3 } })
  url = await app.listen()
})
after(() => stack[Symbol.asyncDispose]())

/** The daemon without uploads, a file of some MiB, and what sends it. */
async function bed(t: TestContext) {
  const { uploads, uploadFolder } = app
  for (const { id } of await uploads.list()) await uploads.remove(id)
  for (const { id } of await uploads.partials.list()) await uploads.partials.remove(id)
  const path = join(await tempDir(t), 'zarf-package-big-amd64-1.0.0.tar')
  await writeFile(path, randomBytes(4 * MIB))
  const tusAt = (base: string) => {
    const connection = { base, authorization: {}, signal }
    return createTus(connection, createCalls(connection))
  }
  const send = async (base = url, how: Partial<ResumableOptions> = {}) => {
    await using file = await openSentFile(path)
    return await sendResumably(tusAt(base), file, { onStep: () => undefined, signal, ...how })
  }
  return { uploads, uploadFolder, path, send, tus: tusAt(url) }
}

/** A file that takes no room. */
async function fileOf(t: TestContext, bytes: number): Promise<string> {
  const path = join(await tempDir(t), 'large.tar')
  await writeFile(path, '')
  await truncate(path, bytes)
  return path
}

test('an older daemon gets a large file in one request, and that is told', async (t) => {
  const { uploads } = await bed(t)
  const path = await fileOf(t, 65 * MIB)
  const proxy = await startAnsweringProxy(t, new URL(url).host)
  proxy.answer({ method: 'OPTIONS', nth: 1, times: 9 }, { status: 404, body: '{"code":"NOT_FOUND","status":404}' })
  const { terminal, err } = pipeTerminal(`http://${proxy.host}`)
  await runCommand(['inspect', path], terminal)
  assert.match(err(), /\(this daemon is an older one: an upload that breaks off begins anew\)\n/)
  const sent = proxy.requests.map(({ method }) => method)
  assert.ok(sent.includes('PUT') && !sent.includes('POST') && !sent.includes('PATCH'), sent.join())
  assert.deepEqual(await uploads.list(), [])
})

test('what the daemon has no place for is told before a byte is sent', async (t) => {
  const { tus, uploads } = await bed(t)
  const proxy = await startAnsweringProxy(t, new URL(url).host)
  const refused = async (bytes: number, code: string) => {
    const { terminal, err } = pipeTerminal(`http://${proxy.host}`)
    assert.equal(await runCommand(['inspect', await fileOf(t, bytes)], terminal), 1, code)
    assert.match(err(), new RegExp(`\\(${code}\\)`))
    assert.doesNotMatch(err(), /have arrived/)
    assert.ok(!proxy.requests.some(({ method }) => method === 'PATCH'), code)
  }
  await refused(67 * MIB, 'PAYLOAD_TOO_LARGE')
  assert.deepEqual(await uploads.partials.list(), [])
  for (const name of ['1.tar', '2.tar', '3.tar'])
    await tus.begin({ name, size: 1, sha256: 'a'.repeat(64), metadata: {} })
  await refused(65 * MIB, 'UPLOADS_TOO_MANY')
})

test('a file that changes while it is sent is noticed, and nothing of it is kept', async (t) => {
  const { path, send, uploadFolder } = await bed(t)
  const bytes = await readFile(path)
  const changes: Array<[string, () => Promise<void>]> = [
    ['longer', () => appendFile(path, 'more')],
    ['shorter', () => truncate(path, MIB)],
    ['written to', () => writeFile(path, randomBytes(bytes.length))],
  ]
  for (const [how, change] of changes) {
    await writeFile(path, bytes)
    const proxy = await startFaultProxy(t, new URL(url).host)
    const held = proxy.fail({ up: MIB }, 'silence')
    const sending = assert.rejects(
      send(`http://${proxy.host}`),
      /changed while it was sent: nothing of it was kept/,
      how,
    )
    await waitFor('a part to be sent', () => held.met)
    await change()
    proxy.cutAll()
    await sending
    await waitFor('it to be gone', async () => (await readdir(uploadFolder)).length === 0)
  }
})

test('other bytes under the same size and time are found by the hash', async (t) => {
  const { path, send, uploadFolder } = await bed(t)
  const at = new Date(1e12)
  await utimes(path, at, at)
  const proxy = await startFaultProxy(t, new URL(url).host)
  const held = proxy.fail({ up: MIB }, 'silence')
  const sending = assert.rejects(send(`http://${proxy.host}`), /changed while it was sent/)
  await waitFor('a part to be sent', () => held.met)
  await writeFile(path, randomBytes(4 * MIB))
  await utimes(path, at, at)
  proxy.cutAll()
  await sending
  await waitFor('it to be gone', async () => (await readdir(uploadFolder)).length === 0)
})

test('a daemon that stays away is waited for as long as was said', async (t) => {
  const { send, uploads, tus } = await bed(t)
  const proxy = await startFaultProxy(t, new URL(url).host)
  proxy.fail({ up: MIB })
  const steps: UploadStep[] = []
  const onStep = (step: UploadStep) => void steps.push(step)
  await assert.rejects(send(`http://${proxy.host}`, { onStep, patienceMs: -1 }), /no daemon answers/)
  assert.deepEqual(
    steps.filter(({ type }) => type === 'waiting'),
    [],
  )
  const [left, ...more] = await uploads.partials.list()
  assert.deepEqual(more, [])
  // Ends what the daemon may still be writing.
  await tus.stands(left?.id ?? '')
  const upload = await send(url, { onStep })
  assert.equal(steps.filter(({ type }) => type === 'resumed').length, 1)
  assert.equal(upload.state, 'complete')
})

test('an answer that is lost behind the last byte is asked for, and nothing is sent twice', async (t) => {
  const { send, path } = await bed(t)
  const proxy = await startFaultProxy(t, new URL(url).host)
  const lost = proxy.fail({ answerAfter: 4 * MIB })
  const upload = await send(`http://${proxy.host}`)
  assert.equal(lost.met, true)
  assert.deepEqual([upload.state, upload.size], ['complete', (await readFile(path)).length])
  assert.ok(proxy.passed.up < 4.5 * MIB)
})

test('an upload that another command sends to is left to it, and so is one of another machine', async (t) => {
  const { tus, path, send, uploads } = await bed(t)
  const proxy = await startFaultProxy(t, new URL(url).host)
  proxy.fail({ up: MIB })
  await assert.rejects(send(`http://${proxy.host}`, { patienceMs: -1 }), /no daemon answers/)
  const [left] = await uploads.partials.list()
  const { metadata } = await tus.stands(left?.id ?? '')
  const { filename: name = '', sha256 = '' } = metadata
  const others = await tus.begin({ name, size: 4 * MIB, sha256, metadata: { place: 'elsewhere' } })
  const busy: Tus = {
    ...tus,
    async get(id) {
      const { offset = 0 } = await tus.get(id)
      if (id === left?.id) await tus.append(id, offset, { body: some(), bytes: 1, signal })
      return await tus.get(id)
    },
  }
  await using file = await openSentFile(path)
  const upload = await sendResumably(busy, file, { onStep: () => undefined, signal })
  assert.equal(upload.state, 'complete')
  const unfinished = (await uploads.partials.list()).map(({ id }) => id)
  assert.deepEqual(unfinished.toSorted(), [left?.id ?? '', others].toSorted())
})

async function* some() {
  yield Buffer.from('x')
}

test('of the parts of a split package those that are there already are not sent again', async (t) => {
  const { send, uploads } = await bed(t)
  const first = await send()
  assert.equal((await send(undefined, { mayBeThere: true })).id, first.id)
  assert.notEqual((await send()).id, first.id)
  assert.equal((await uploads.list()).length, 2)
})
