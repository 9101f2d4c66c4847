#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { isClientCommand, runCommand, usage as clientUsage } from './cli/cli.ts'
import { type Config, loadConfig, SETTING_NAMES } from './config/config.ts'
import { unknownNames, unknownNameText } from './config/unknown-names.ts'
import { toAppError } from './lib/errors.ts'
import { createLogger } from './lib/logger.ts'
import type { RoleContext } from './roles/context.ts'

const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version

/** V8's own bound lets a worker that sends thousands of small layers keep 120 MiB of what is garbage (docs/performance.md). */
const WORKER_FLAGS = ['--max-semi-space-size=8']

/** npm hands a Ctrl-C on a second time. */
const SAME_SIGNAL_MS = 1000

const USAGE = `layerd ${VERSION}: package manager service for Zarf packages in OCI registries

  layerd                     API, workers and a private Redis: all that one machine needs
  layerd serve               the API alone
  layerd worker [--name N]   takes jobs and moves bytes
  layerd store check [--repair] [--json]
                             looks for damage in the data directory's store; repairs while no daemon works on it
  layerd --version | --help

${clientUsage()}`

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args
  if (command === '--version' || command === '-V') return print(`layerd ${VERSION}\n`)
  if (command === '--help' || command === '-h' || command === 'help') return print(USAGE)
  if (isClientCommand(command)) return client(args)
  const role = roleOf(command, rest)
  return role ? role() : wrongUse(args)
}

function wrongUse(args: readonly string[]): number {
  process.stderr.write(`layerd: there is no "${args.join(' ')}"\n\n${USAGE}`)
  return 2
}

/**
 * The role that the words name; undefined when there is none. Each loads its own modules: a client command or a check
 * must not wait for the daemon's. What ends a process is listened for before that.
 */
function roleOf(command: string | undefined, rest: readonly string[]): (() => Promise<number>) | undefined {
  const [option, name, ...more] = rest
  if (command === 'store' && option === 'check') return () => storeCheck(rest.slice(1))
  if (command === 'worker' && option === '--name' && name && more.length === 0) return () => worker(name)
  if (rest.length > 0) return undefined
  if (command === undefined) return allInOne
  if (command === 'serve') return serve
  return command === 'worker' ? () => worker(undefined) : undefined
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

async function allInOne(): Promise<number> {
  const stop = stopSignal()
  const { runAllInOne } = await import('./roles/all-in-one.ts')
  return runAllInOne(contextOf('layerd', 'all', stop), {
    command: [process.execPath, ...process.execArgv, ...WORKER_FLAGS, import.meta.filename],
  })
}

async function serve(): Promise<number> {
  const stop = stopSignal()
  const { runServe } = await import('./roles/serve.ts')
  return runServe(contextOf('layerd serve', 'serve', stop))
}

async function worker(given: string | undefined): Promise<number> {
  // A supervisor gives a name once; whoever starts workers by hand need not.
  const supervised = process.connected
  const unique = `${process.pid.toString(36)}-${Date.now().toString(36)}`
  const name = given !== undefined && supervised ? given : `${given ?? hostname()}-${unique}`
  const stop = Promise.race([stopSignal(), orphaned()])
  const { runWorker } = await import('./roles/worker.ts')
  return runWorker(contextOf(`layerd worker --name ${name}`, 'worker', stop), { name })
}

async function storeCheck(args: readonly string[]): Promise<number> {
  const { parseStoreCheck, runStoreCheck } = await import('./roles/store-check.ts')
  const options = parseStoreCheck(args)
  if (!options) return wrongUse(['store', 'check', ...args])
  const interrupt = new AbortController()
  const { stdout, stderr } = process
  for (const [signal, number] of SIGNALS) process.on(signal, () => interrupt.abort(128 + number))
  try {
    return await runStoreCheck({ config: loadConfig(process.env), stdout, stderr, signal: interrupt.signal }, options)
  } catch (error) {
    if (typeof interrupt.signal.reason === 'number') return interrupt.signal.reason
    throw error
  }
}

function contextOf(title: string, role: string, stop: RoleContext['stop']): RoleContext {
  process.title = title
  const config = loadConfig(process.env)
  const logger = createLogger({ level: config.logLevel, name: 'layerd', screen: screenFor(config) }).child({ role })
  // A supervisor has said it for its workers.
  if (!process.connected) {
    for (const unknown of unknownNames(process.env, SETTING_NAMES)) logger.warn(unknownNameText(unknown))
  }
  return { config, logger, version: VERSION, env: process.env, stop }
}

/** Workers of a supervisor write to its terminal. */
function screenFor({ logFormat }: Config): typeof process.stdout | undefined {
  const pretty = logFormat === undefined ? process.stdout.isTTY : logFormat === 'pretty'
  return pretty ? process.stdout : undefined
}

async function client(args: readonly string[]): Promise<number> {
  const { url, token } = loadConfig(process.env)
  return runCommand(args, {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    cwd: process.cwd(),
    env: { url, token },
    onInterrupt(listener) {
      process.on('SIGINT', listener)
      return () => process.off('SIGINT', listener)
    },
  })
}

const SIGNALS = [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const

/** Resolves at the first signal. One that comes more than a second later ends the process at once, and its children. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAt: number | undefined
    for (const [signal, number] of SIGNALS) {
      process.on(signal, () => {
        const now = Date.now()
        firstAt ??= now
        if (now - firstAt > SAME_SIGNAL_MS) process.exit(128 + number)
        resolve(signal)
      })
    }
  })
}

/** Resolves when the supervisor has ended, in whatever way; never without one. */
function orphaned(): Promise<'orphaned'> {
  return new Promise((resolve) => {
    if (process.connected) process.once('disconnect', () => resolve('orphaned'))
  })
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (thrown) {
  const { code, message, hint, cause } = toAppError(thrown)
  process.stderr.write(`layerd: ${message}${hint === undefined ? '' : `. ${hint}`}\n`)
  if (code === 'INTERNAL' && cause instanceof Error) process.stderr.write(`${cause.stack}\n`)
  process.exit(1)
}
