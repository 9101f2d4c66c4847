import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cleanup, defer } from './cleanup.ts'

/** An empty folder of one's own, removed with all it holds when the test ends. */
export async function tempDir(t: Cleanup, name = 'layerd'): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), `${name}-`))
  defer(t, () => rm(path, { recursive: true, force: true, maxRetries: 3 }))
  return path
}

/** Like tempDir, where a unix socket's path in it must fit into the 107 bytes that the kernel allows. */
export async function shortTempDir(t: Cleanup): Promise<string> {
  const path = await mkdtemp(join(tmpdir().length > 60 ? '/tmp' : tmpdir(), 'ly-'))
  defer(t, () => rm(path, { recursive: true, force: true, maxRetries: 3 }))
  return path
}
