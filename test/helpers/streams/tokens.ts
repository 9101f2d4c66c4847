import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cleanup } from '../cleanup.ts'
import { tempDir } from '../temp-dir.ts'

/** A line of LAYERD_TOKENS_FILE. `rights`: scopes, and limits after a space. `token`: default its name. */
export function tokenLine(name: string, rights: string, token = name): string {
  return `${name} ${createHash('sha256').update(token).digest('hex')} ${rights}\n`
}

/** A file of such lines. */
export async function tokensFileWith(t: Cleanup, ...lines: readonly string[]): Promise<string> {
  const path = join(await tempDir(t), 'tokens')
  await writeFile(path, lines.join(''))
  return path
}

/** One with tokens that are called as their principals are: name -> rights. */
export async function tokensFileOf(t: Cleanup, tokens: Readonly<Record<string, string>>): Promise<string> {
  return await tokensFileWith(t, ...Object.entries(tokens).map(([name, rights]) => tokenLine(name, rights)))
}
