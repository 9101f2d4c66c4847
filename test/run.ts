import { globSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TestReport } from './helpers/test-report.ts'

/**
 * npm test [-- TIER | FILE | FOLDER ...]      tiers as folders of test/; without one: those that need no other machine
 *
 * The last line is always "N passed, N failed[, N skipped]". Exit code 0 only if something ran and nothing failed.
 */
const DEFAULT_TIERS = ['unit', 'contract', 'fault', 'integration', 'e2e', 'browser', 'interop']
const OTHER_TIERS = ['sweep', 'containers', 'registries', 'bench']

/** A test that takes longer has hung, also beside thirty others at a processor; the longest ones (an image build) set a bound of their own. */
const TEST_TIMEOUT_MS = 600_000

/** Bound of a file of the other tiers (helpers/file-bound.ts has the usual one): image builds, large transfers, hundreds of rounds. */
const LONG_FILE_MS = '7200000'

const here = fileURLToPath(new URL('.', import.meta.url))

async function main(args: readonly string[]): Promise<boolean> {
  const files = [...new Set((args.length === 0 ? DEFAULT_TIERS : args).flatMap(filesOf))]
  const report = new TestReport((text) => process.stdout.write(text))
  const started = performance.now()
  if (files.length > 0) await runFiles(files, report)
  report.end(performance.now() - started)
  return !report.failed
}

function filesOf(argument: string): string[] {
  if (DEFAULT_TIERS.includes(argument) || OTHER_TIERS.includes(argument)) return testsIn(resolve(here, argument))
  const path = resolve(argument)
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found)
    throw new Error(`${argument} is neither a tier (${[...DEFAULT_TIERS, ...OTHER_TIERS].join(', ')}) nor a file`)
  return found.isDirectory() ? testsIn(path) : [path]
}

function testsIn(folder: string): string[] {
  return globSync('**/*.test.ts', { cwd: folder })
    .toSorted()
    .map((name) => resolve(folder, name))
}

async function runFiles(files: string[], report: TestReport): Promise<void> {
  // Hundreds of processes load the same sources: compiled once, each starts in half the time.
  process.env['NODE_COMPILE_CACHE'] ??= resolve(here, '../node_modules/.cache/compiled')
  if (files.some((file) => OTHER_TIERS.some((tier) => file.startsWith(join(here, tier))))) {
    process.env['LAYERD_TEST_FILE_MS'] ??= LONG_FILE_MS
  }
  const events = run({
    files,
    // Most of them wait most of the time: for a lock to expire, a limit to let go, a process to start.
    concurrency: 2 * availableParallelism(),
    execArgv: [`--test-timeout=${TEST_TIMEOUT_MS}`, '--import', new URL('helpers/file-bound.ts', import.meta.url).href],
  })
  events.on('test:pass', (test) => report.pass(test))
  events.on('test:fail', (test) => report.fail(test))
  events.on('test:stdout', ({ file, message }) => report.output(file, message))
  events.on('test:stderr', ({ file, message }) => report.output(file, message))
  events.on('test:diagnostic', ({ file, message, nesting }) => {
    if (nesting > 0 && file?.startsWith(join(here, 'helpers', 'registries'))) report.note(message)
  })
  events.on('test:summary', ({ file, duration_ms: durationMs }) => {
    if (file !== undefined) report.summary(file, durationMs)
  })
  for await (const _event of events) {
    // the listeners above do the work; reading is what moves the stream to its end
  }
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 12)) {
  process.stderr.write(`Node ${process.versions.node} runs this; 24.12 is needed. Start it with: npm test\n`)
  process.exit(1)
}
process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1
