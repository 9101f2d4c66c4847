import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { after, before, describe, type TestContext, test } from 'node:test'
import { CleanupStack } from '../helpers/cleanup.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { buildPackage, type BuiltPackage } from '../helpers/packages/package-builder.ts'
import { MIB } from '../helpers/processes/cli-bed.ts'
import { apiOf, MAIN, readyUrl, startLayerd } from '../helpers/processes/layerd.ts'
import { type RunningProcess, startProcess } from '../helpers/processes/processes.ts'
import { shortTempDir, tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'

/** Where a connection breaks. */
const BROKEN_AT = 30 * MIB
/** What the wire and its buffers hold when it does. */
const IN_FLIGHT = 16 * MIB

const stack = new CleanupStack()
let layerd: RunningProcess
let api: string
let built: BuiltPackage
let size: number
before(async () => {
  layerd = await startLayerd(stack, { dataDir: await shortTempDir(stack), env: { LAYERD_WORKERS: '1' } })
  api = await readyUrl(layerd)
  built = await buildPackage(await tempDir(stack), { layers: 2, layerBytes: 34 * MIB, compressible: 0, format: 'tar' })
  await using file = await open(built.path)
  size = (await file.stat()).size
})
after(() => stack[Symbol.asyncDispose]())

const start = (t: TestContext, url: string) =>
  startProcess(t, process.execPath, [MAIN, 'verify', built.path], { env: { LAYERD_URL: url } })

const uploads = async () =>
  (
    (await (await fetch(`${api}/v1/uploads`)).json()) as {
      items: Array<{ id: string; state: string; offset?: number }>
    }
  ).items

describe('an upload of more than 64 MiB by the command line', () => {
  test('goes on at the byte when the connection is cut', async (t) => {
    const proxy = await startFaultProxy(t, new URL(api).host)
    proxy.fail({ up: BROKEN_AT })
    const child = await start(t, `http://${proxy.host}`)
    assert.deepEqual(await child.exit, { code: 0, signal: null }, child.stderr())
    assert.match(child.stderr(), /It is hashed first; if the upload breaks off, it goes on where it stood\.\n/)
    assert.match(child.stderr(), /no daemon answers at [^\n]*; asking again\nuploading: going on at [23]\d\.\d MiB\n/)
    assert.ok(proxy.passed.up < size + IN_FLIGHT, `${proxy.passed.up - size} bytes were sent twice`)
    assert.deepEqual(await uploads(), [])
  })

  test('goes on at the byte when the API is killed', async (t) => {
    const proxy = await startFaultProxy(t, new URL(api).host)
    const held = proxy.fail({ up: BROKEN_AT }, 'silence')
    const child = await start(t, `http://${proxy.host}`)
    await waitFor('much of it to be sent', () => held.met)
    process.kill(apiOf(layerd.pid).pid, 'SIGKILL')
    proxy.cutAll()
    assert.deepEqual(await child.exit, { code: 0, signal: null }, child.stderr())
    assert.match(child.stderr(), /uploading: going on at [23]\d\.\d MiB\n/)
    assert.ok(proxy.passed.up < size + IN_FLIGHT, `${proxy.passed.up - size} bytes were sent twice`)
    assert.deepEqual(await uploads(), [])
  })

  test('that Ctrl-C ended says how to go on, and the same command does', async (t) => {
    const child = await interrupted(t)
    assert.match(child.stderr(), /Not uploaded, and no job was made\. About [23]\d\.\d MiB of 68\.\d MiB have arrived/)
    const [left, ...more] = await uploads()
    assert.deepEqual([left?.state, more], ['incomplete', []])
    const proxy = await startFaultProxy(t, new URL(api).host)
    const again = await start(t, `http://${proxy.host}`)
    assert.deepEqual(await again.exit, { code: 0, signal: null }, again.stderr())
    assert.match(again.stderr(), /\nGoing on at [23]\d\.\d MiB of 68\.\d MiB\.\n/)
    assert.ok(proxy.passed.up < size - (left?.offset ?? 0) + MIB, 'it was sent from its beginning')
    assert.deepEqual(await uploads(), [])
  })

  test('begins anew when the file has changed since', async (t) => {
    await interrupted(t)
    const [left] = await uploads()
    const file = await open(built.path, 'r+')
    await file.write(Buffer.from('changed'), 0, 7, Math.floor(size / 4))
    await file.close()
    const again = await start(t, api)
    assert.deepEqual(await again.exit, { code: 1, signal: null })
    assert.match(again.stderr(), /The file has changed since an upload of it broke off: it begins anew\./)
    assert.doesNotMatch(again.stderr(), /Going on/)
    assert.match(again.stderr(), /PACKAGE_CHECKSUM_MISMATCH/)
    assert.deepEqual(
      (await uploads()).map(({ id, state }) => [id === left?.id, state]),
      [[false, 'complete']],
    )
  })
})

/** A command that Ctrl-C ends when a part of its file has arrived. */
async function interrupted(t: TestContext): Promise<RunningProcess> {
  const proxy = await startFaultProxy(t, new URL(api).host)
  const held = proxy.fail({ up: BROKEN_AT }, 'silence')
  const child = await start(t, `http://${proxy.host}`)
  await waitFor('much of it to be sent', () => held.met)
  child.signal('SIGINT')
  assert.deepEqual(await child.exit, { code: 130, signal: null })
  proxy.cutAll()
  return child
}
