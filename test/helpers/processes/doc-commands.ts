import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * The commands of a Markdown file as one bash script that ends at the first one that fails: its indented blocks, of the
 * section `## heading` or of all. A `variables` entry replaces the value in a line `NAME=...` or `export NAME=...`.
 */
export async function docCommands(
  path: string,
  { section, variables }: { section?: string; variables: Record<string, string> },
): Promise<string> {
  const text = await readFile(`${REPOSITORY}${path}`, 'utf8')
  const part = section === undefined ? text : (text.split(/^## /m).find((one) => one.startsWith(`${section}\n`)) ?? '')
  const lines = [...part.matchAll(/^ {4}(.*)$/gm)].map(([, line = '']) => line)
  if (lines.length === 0) throw new Error(`${path} has no commands${section === undefined ? '' : ` under ${section}`}`)
  const script = lines.map((line) => {
    const [, head = '', name = ''] = /^((?:export )?([A-Z_]+)=)/.exec(line) ?? []
    const value = variables[name]
    return value === undefined ? line : `${head}'${value}'`
  })
  return ['set -euo pipefail', ...script, ''].join('\n')
}
