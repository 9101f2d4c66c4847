import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { startDockerRegistry } from '../helpers/registries/docker-registry.ts'
import { startFaultProxy } from '../helpers/network/fault-proxy.ts'
import { endedOver, jobOver, MAIN } from '../helpers/processes/layerd.ts'
import { startMemoryRegistry } from '../helpers/registries/memory-registry.ts'
import { buildPackage } from '../helpers/packages/package-builder.ts'
import { startProcess } from '../helpers/processes/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { waitFor } from '../helpers/wait-for.ts'
import { CleanupStack } from '../helpers/cleanup.ts'
import { assertSame, type Bed, MIB, startBed } from '../helpers/processes/cli-bed.ts'

const stack = new CleanupStack()
let shared: Bed
before(async () => {
  shared = await startBed(stack)
})
after(() => stack[Symbol.asyncDispose]())

describe('Ctrl-C', () => {
  /** A publish that hangs in the middle of a layer. */
  async function hanging(t: TestContext) {
    const setting = shared
    const registry = await startMemoryRegistry()
    t.after(() => registry.close())
    registry.fail({ method: 'PATCH', nth: 1, times: 9 }, { kind: 'hold', until: new Promise<never>(() => {}) })
    const built = await buildPackage(setting.root, { layers: 2, layerBytes: 9 * MIB, format: 'tar' })
    const child = await setting.start(['publish', built.path, `oci://${registry.host}/team`])
    const [, id = ''] = await child.waitForOutput(/^job (\S+)/)
    await child.waitForOutput(/plan: |sending /)
    return { ...setting, child, id }
  }

  test('leaves the job running and says how to watch or cancel it', async (t) => {
    const { api, child, id, run } = await hanging(t)
    child.signal('SIGINT')
    assert.deepEqual(await child.exit, { code: 130, signal: null })
    assert.match(child.stderr(), new RegExp(`The job goes on\\. .*layerd watch ${id} .*layerd cancel ${id}`))
    assert.equal((await jobOver(api, id)).state, 'running')
    const canceled = await run(['cancel', id])
    assert.deepEqual([canceled.code, canceled.stdout], [0, `${id} canceling\n`])
    assert.equal((await endedOver(api, id)).state, 'canceled')
    const watched = await run(['watch', id])
    assert.equal(watched.code, 1)
    assert.match(watched.stderr, /publish canceled/)
  })

  test('twice cancels the job', async (t) => {
    const { api, child, id } = await hanging(t)
    child.signal('SIGINT')
    await child.waitForOutput(/press Ctrl-C again now/)
    child.signal('SIGINT')
    assert.deepEqual(await child.exit, { code: 130, signal: null })
    assert.match(child.stderr(), new RegExp(`canceling ${id}[^]*publish canceled`))
    assert.equal((await endedOver(api, id)).state, 'canceled')
  })
})

test('a cut between daemon and command line is mended; Ctrl-C there leaves no file', async (t) => {
  const registry = await startDockerRegistry(t)
  const { api, root, dataDir, run } = shared
  const built = await buildPackage(root, { layers: 2, layerBytes: 8 * MIB })
  const reference = `oci://${registry.host}/team/sample:1.0.0`
  assert.equal((await run(['publish', built.path, `oci://${registry.host}/team`])).code, 0)
  const proxy = await startFaultProxy(t, new URL(api).host)
  const env = { LAYERD_URL: `http://${proxy.host}` }
  const folder = await tempDir(t, 'saved')
  const saved = join(folder, basename(built.path))

  const cut = proxy.fail({ down: 5 * MIB }, 'reset')
  const mended = await run(['pull', reference, '-q', '-o', folder], { env })
  assert.deepEqual([mended.code, mended.stdout, cut.met], [0, `${saved}\n`, true], mended.stderr)
  await assertSame(saved, built.path)

  const stuck = proxy.fail({ down: 5 * MIB }, 'silence')
  const other = join(folder, 'other')
  const child = await startProcess(t, process.execPath, [MAIN, 'pull', reference, '-o', other], { env })
  await waitFor('the archive to stop half-way', () => stuck.met)
  assert.deepEqual(await readdir(other), [`${basename(built.path)}.part`])
  child.signal('SIGINT')
  assert.deepEqual(await child.exit, { code: 130, signal: null })
  assert.match(child.stderr(), /pulled into the store, saving\n[^]*Not saved\. The package is in the store/)
  assert.doesNotMatch(child.stderr(), /succeeded/)
  assert.deepEqual(await readdir(other), [])

  await t.test('and an upload that Ctrl-C ends leaves nothing either', async () => {
    const before = await readdir(join(dataDir, 'uploads'))
    const outside = await buildPackage(await tempDir(t), { layers: 2, layerBytes: 8 * MIB, name: 'outside' })
    const halted = proxy.fail({ up: 5 * MIB }, 'silence')
    const args = [MAIN, 'publish', outside.path, `oci://${registry.host}/team`]
    const uploading = await startProcess(t, process.execPath, args, { env })
    await waitFor('the upload to stop half-way', () => halted.met)
    uploading.signal('SIGINT')
    assert.deepEqual(await uploading.exit, { code: 130, signal: null })
    assert.match(uploading.stderr(), /Not uploaded, and no job was made\./)
    proxy.cutAll()
    await waitFor('the daemon to drop what came', async () => {
      const names = await readdir(join(dataDir, 'uploads'))
      return names.length === before.length
    })
  })
})

test('on a terminal a bar for each active layer and one in total, and the screen is given back', async (t) => {
  const script = await terminalProgram(t)
  if (!script) return
  const { api, root } = shared
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const held = Promise.withResolvers<void>()
  registry.fail({ method: 'PATCH', nth: 1, times: 2 }, { kind: 'hold', until: held.promise })
  const built = await buildPackage(root, { layers: 2, layerBytes: 9 * MIB, format: 'tar' })
  const command = [process.execPath, MAIN, 'publish', built.path, `oci://${registry.host}/team`].map(quoted).join(' ')
  const shown = await startProcess(t, script, ['-qec', `stty cols 100 rows 30; exec ${command}`, '/dev/null'], {
    env: { LAYERD_URL: api },
  })
  // The line of the small layers stands where the first of them was met: above or below.
  const drawn = await shown.waitForOutput(
    /\d+% +18\.\d MiB sending \d of 5 layers[^\n]*\n(?:[^\n]*small layers[^\n]*\n)?[^\n]*layer-000\d\.tar[^\n]*\n(?:[^\n]*small layers[^\n]*\n)?[^\n]*layer-000\d\.tar/,
  )
  const paces = () =>
    shown
      .output()
      .split('\u001b')
      .filter((text) => /sending \d of 5 layers/.test(text))
  await waitFor('the pace to be shown', () => paces().some((line) => line.includes('/s')))
  await waitFor('a pace that is no longer true to go', () => paces().at(-1)?.includes('/s') === false)
  assert.match(drawn[0], /[█░]{24}/)
  held.resolve()
  assert.equal((await shown.exit).code, 0)
  const output = shown.output()
  assert.match(output, /publish succeeded/)
  for (const [hide, show] of [['\u001b[?25l', '\u001b[?25h'] as const, ['\u001b[?7l', '\u001b[?7h'] as const]) {
    assert.ok(output.lastIndexOf(show) > output.lastIndexOf(hide), 'cursor and line wrapping are as before')
  }
})

/** A program that runs another on a pseudo terminal: script of util-linux, whose options others lack. */
async function terminalProgram(t: TestContext): Promise<string | undefined> {
  const found = await stat('/usr/bin/script').catch(() => undefined)
  if (found && process.platform === 'linux') return '/usr/bin/script'
  t.skip('not there: /usr/bin/script of util-linux')
  return undefined
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`
