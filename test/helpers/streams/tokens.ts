import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cleanup } from '../cleanup.ts'
import { tempDir } from '../temp-dir.ts'

/** LAYERD_TOKENS_FILE with tokens that are called as their principals are: name -> scopes, and limits after a space. */
export async function tokensFileOf(t: Cleanup, tokens: Readonly<Record<string, string>>): Promise<string> {
  const path = join(await tempDir(t), 'tokens')
  const hash = (token: string) => createHash('sha256').update(token).digest('hex')
  const lines = Object.entries(tokens).map(([name, rights]) => `${name} ${hash(name)} ${rights}\n`)
  await writeFile(path, lines.join(''))
  return path
}
