import { execFileSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { defer } from './cleanup.ts'
import { shortTempDir } from './temp-dir.ts'

/**
 * A folder with a disk of so many MiB of its own, in memory. Undefined where none can be mounted (Linux, as root): the test
 * is marked as skipped then.
 */
export async function smallDisk(t: TestContext, mib: number): Promise<string | undefined> {
  const folder = await shortTempDir(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    t.skip('a small disk cannot be mounted here: this takes Linux and root')
    return undefined
  }
  defer(t, () => void execFileSync('umount', ['-l', folder]))
  return folder
}
