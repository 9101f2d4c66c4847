import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { publishedManifest } from '../helpers/packages/fixtures.ts'
import { runProcess, startProcess } from '../helpers/processes/processes.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const demo = fileURLToPath(new URL('../demo/main.ts', import.meta.url))
const nemoDigest = `sha256:${createHash('sha256').update(publishedManifest('nemo')).digest('hex')}`

/** Command lines of processes that name `folder`: Redis, the registry and workers all do. */
function processesOf(folder: string): string[] {
  const commandLine = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    } catch {
      return ''
    }
  }
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(commandLine).filter((line) => line.includes(folder))
}

test('the demo publishes, reads back, pulls, compares, and leaves no process and no file', async (t) => {
  const folder = await tempDir(t)
  const args = [demo, '--once', '--size', '24MiB', '--layers', '3']
  const { code, output } = await runProcess(t, process.execPath, args, { env: { TMPDIR: folder }, timeoutMs: 90_000 })
  assert.equal(code, 0, output)
  assert.ok(output.includes(nemoDigest), output)
  assert.match(output, /large:1\.0\.0[^]*every layer has the digest[^]*all of it held/)
  assert.deepEqual(await readdir(folder), [])
  if (process.platform === 'linux') assert.deepEqual(processesOf(folder), [])
})

test('the demo serves until Ctrl-C, then ends with exit code 0 and leaves nothing', async (t) => {
  const folder = await tempDir(t)
  const child = await startProcess(t, process.execPath, [demo, '--size', '1MiB', '--layers', '2'], {
    env: { TMPDIR: folder },
    graceMs: 60_000,
  })
  await child.waitForOutput(/serving until Ctrl-C/, { timeoutMs: 90_000 })
  const [, api = ''] = /layerd: +(http:\S+)/.exec(child.output()) ?? []
  const { items } = (await (await fetch(`${api}/v1/jobs`)).json()) as { items: { state: string }[] }
  assert.deepEqual(
    items.map(({ state }) => state),
    Array.from({ length: 4 }, () => 'succeeded'),
  )
  child.signal('SIGINT')
  child.signal('SIGINT') // npm hands a Ctrl-C on a second time
  assert.deepEqual(await child.exit, { code: 0, signal: null }, child.output())
  assert.deepEqual(await readdir(folder), [])
  if (process.platform === 'linux') assert.deepEqual(processesOf(folder), [])
})
