import assert from 'node:assert/strict'
import type { Cleanup } from '../cleanup.ts'
import { MAIN, readyUrl, startLayerd } from './layerd.ts'
import { runProcess, type StartOptions, startProcess } from './processes.ts'
import { readPackage } from '../packages/pulling.ts'
import { shortTempDir, tempDir } from '../temp-dir.ts'

export const MIB = 1024 * 1024

export interface Bed {
  api: string
  /** A folder that the daemon may read. */
  root: string
  dataDir: string
  run: (args: readonly string[], options?: StartOptions) => ReturnType<typeof runProcess>
  start: (args: readonly string[]) => ReturnType<typeof startProcess>
}

/** A daemon, and the command line as processes of its own beside it. */
export async function startBed(t: Cleanup, more: Record<string, string> = {}): Promise<Bed> {
  const dataDir = await shortTempDir(t)
  const root = await tempDir(t, 'root')
  const layerd = await startLayerd(t, { dataDir, env: { LAYERD_WORKERS: '1', LAYERD_FILE_ROOTS: root, ...more } })
  const api = await readyUrl(layerd)
  const env = { LAYERD_URL: api }
  return {
    api,
    root,
    dataDir,
    run: (args, options) =>
      runProcess(t, process.execPath, [MAIN, ...args], { ...options, env: { ...env, ...options?.env } }),
    start: (args) => startProcess(t, process.execPath, [MAIN, ...args], { env }),
  }
}

export async function assertSame(path: string, original: string): Promise<void> {
  const [found, expected] = await Promise.all([readPackage(path), readPackage(original)])
  assert.deepEqual([...found.files.keys()].toSorted(), [...expected.files.keys()].toSorted())
  for (const [title, bytes] of expected.files) assert.ok(found.files.get(title)?.equals(bytes), title)
}

export const lines = <T>(text: string): T[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T)
