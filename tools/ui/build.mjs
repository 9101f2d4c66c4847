/**
 * Builds the dashboard into dist/ui, whole or not at all: into a folder beside it, which then takes its place.
 *
 *   node tools/ui/build.mjs [--if-stale]      --if-stale: only when its sources are others than at the last build
 */
import { createHash } from 'node:crypto'
import { globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const ui = join(root, 'src/ui')
const out = join(root, 'dist/ui')
/** Of what it was built from. */
const MARK = '.sources'

/** Sources, the client that they are typed by, the tools that build them. */
function sourcesHash() {
  const own = globSync('**/*', { cwd: ui, exclude: ['node_modules'], withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const others = ['clients/typescript/src/messages.ts', 'package-lock.json'].map((name) => join(root, name))
  const hash = createHash('sha256')
  for (const path of [...own.toSorted(), ...others]) hash.update(`${path.slice(root.length)}\0`).update(readFileSync(path))
  return hash.digest('hex')
}

function builtHash() {
  try {
    return readFileSync(join(out, MARK), 'utf8')
  } catch {
    return undefined
  }
}

/** Another build that was faster has put the same there. */
function takePlace(next, last, sources) {
  try {
    renameSync(out, last)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  try {
    renameSync(next, out)
  } catch (error) {
    if (builtHash() !== sources) throw error
  }
}

const sources = sourcesHash()
if (!process.argv.includes('--if-stale') || builtHash() !== sources) {
  process.stderr.write('setup: building the dashboard\n')
  const { build } = await import('vite')
  const next = join(root, 'dist', `.ui-${process.pid}`)
  const last = `${next}-last`
  try {
    mkdirSync(join(root, 'dist'), { recursive: true })
    const configFile = join(ui, 'vite.config.ts')
    await build({ root: ui, configFile, logLevel: 'warn', build: { outDir: next, emptyOutDir: true } })
    writeFileSync(join(next, MARK), sources)
    takePlace(next, last, sources)
  } finally {
    for (const folder of [next, last]) rmSync(folder, { recursive: true, force: true })
  }
}
