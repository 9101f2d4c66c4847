import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd } from './at-end.ts'
import { type Cleanup, defer } from './cleanup.ts'

/** An empty folder of one's own, removed with all it holds when the test ends. */
export function tempDir(t: Cleanup, name = 'layerd'): Promise<string> {
  return folderIn(t, join(tmpdir(), `${name}-`))
}

/** Like tempDir, where a unix socket's path in it must fit into the 107 bytes that the kernel allows. */
export function shortTempDir(t: Cleanup): Promise<string> {
  return folderIn(t, join(tmpdir().length > 60 ? '/tmp' : tmpdir(), 'ly-'))
}

async function folderIn(t: Cleanup, prefix: string): Promise<string> {
  const path = await mkdtemp(prefix)
  const removal = { recursive: true, force: true, maxRetries: 3 }
  const forget = atEnd(() => rmSync(path, removal))
  defer(t, async () => {
    await rm(path, removal)
    forget()
  })
  return path
}
