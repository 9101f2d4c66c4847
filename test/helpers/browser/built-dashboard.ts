import { execFileSync } from 'node:child_process'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const BUILD = fileURLToPath(new URL('../../../tools/ui/build.mjs', import.meta.url))

/** Builds it where the set-up has not, so that what is looked at is what stands in the sources. */
export function buildDashboard(): void {
  execFileSync(process.execPath, [BUILD, '--if-stale'], { stdio: ['ignore', 'ignore', 'inherit'] })
}
