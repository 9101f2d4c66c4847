import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

/** Where systems keep servers: not on everybody's PATH. */
const SERVERS = ['/usr/local/sbin', '/usr/sbin']

/** The program's path, looked up in PATH, then where systems keep servers and where `go install` puts programs. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SERVERS]
  for (const folder of folders) {
    const path = join(folder, name)
    if (folder !== '' && isExecutable(path)) return path
  }
  const path = join(goFolder(), 'bin', name)
  return isExecutable(path) ? path : undefined
}

let goFolderFound: string | undefined

function goFolder(): string {
  try {
    goFolderFound ??= execFileSync('go', ['env', 'GOPATH'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    goFolderFound = join(process.env['HOME'] ?? '/', 'go')
  }
  return goFolderFound.trim()
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Skips the test and returns true when one of the programs is absent: `if (skipWithout(t, 'zarf')) return`.
 * test/run.ts lists every skipped test with its reason at the end.
 */
export function skipWithout(t: TestContext, ...names: string[]): boolean {
  const missing = names.filter((name) => findProgram(name) === undefined)
  if (missing.length === 0) return false
  t.skip(`not on PATH: ${missing.join(', ')}`)
  return true
}
