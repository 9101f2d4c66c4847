#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Surroundings } from './cli/program.ts'
import { believe, findCertificates } from './config/certificates.ts'
import { type Config, loadConfig, SETTING_NAMES } from './config/config.ts'
import { unknownNames, unknownNameText } from './config/unknown-names.ts'
import { toAppError } from './lib/errors.ts'
import { createLogger } from './lib/logger.ts'
import type { RoleContext } from './roles/context.ts'

const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version

/** npm hands a Ctrl-C on a second time. */
const SAME_SIGNAL_MS = 1000

/** Without a command it is the daemon: nothing of the command line is loaded for it. */
async function main(args: readonly string[]): Promise<number> {
  if (args.length === 0) return allInOne()
  const { runProgram } = await import('./cli/program.ts')
  const roles = { allInOne, serve, worker, storeCheck }
  return runProgram(args, { version: VERSION, roles, surroundings }, output)
}

const output = {
  stdout: (text: string) => void process.stdout.write(text),
  stderr: (text: string) => void process.stderr.write(text),
}

async function allInOne(): Promise<number> {
  const stop = stopSignal()
  const { runAllInOne } = await import('./roles/all-in-one.ts')
  // What children say there passes through here, and who reads it may have gone.
  process.stderr.on('error', () => undefined)
  const program = { node: process.execPath, flags: process.execArgv, main: import.meta.filename }
  // It leads no job and makes no request: there is nothing of it to trace.
  return runAllInOne(contextOf('layerd', 'all', { stop, tracing: undefined }), { program, stderr: output.stderr })
}

async function serve({ supervised }: { supervised: boolean }): Promise<number> {
  const stop = stopSignal()
  // As if it were one process with its supervisor: the next daemon wants its port.
  if (supervised) process.once('disconnect', () => process.exit(1))
  const { runServe } = await import('./roles/serve.ts')
  return inRole('layerd serve', 'serve', stop, (context) => runServe(context, { supervised }))
}

async function worker(given: string | undefined): Promise<number> {
  // A supervisor gives a name once; whoever starts workers by hand need not.
  const supervised = process.connected
  const unique = `${process.pid.toString(36)}-${Date.now().toString(36)}`
  const name = given !== undefined && supervised ? given : `${given ?? hostname()}-${unique}`
  const stop = Promise.race([stopSignal(), orphaned()])
  const { runWorker } = await import('./roles/worker.ts')
  const label = supervised ? undefined : (given ?? hostname())
  return inRole(`layerd worker --name ${name}`, 'worker', stop, (context) => runWorker(context, { name, label }))
}

async function storeCheck(options: { repair: boolean; json: boolean }): Promise<number> {
  const { runStoreCheck } = await import('./roles/store-check.ts')
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

/** Runs a role, and sends what it still has of traces. */
async function inRole(
  title: string,
  role: string,
  stop: RoleContext['stop'],
  run: (context: RoleContext) => Promise<number>,
): Promise<number> {
  const { openTracing } = await import('./tracing/tracing.ts')
  const tracing = await openTracing(process.env, { version: VERSION, pid: process.pid })
  try {
    return await run(contextOf(title, role, { stop, tracing }))
  } finally {
    await tracing?.close()
  }
}

function contextOf(title: string, role: string, { stop, tracing }: Pick<RoleContext, 'stop' | 'tracing'>): RoleContext {
  process.title = title
  const config = loadConfig(process.env)
  const logger = createLogger({ level: config.logLevel, name: 'layerd', screen: screenFor(config) }).child({ role })
  // A supervisor has said it for its workers.
  if (!process.connected) tellUnknownNames((text) => logger.warn(text))
  // A supervisor speaks TLS to a Redis of somebody else's alone, and its API has said it for all of them.
  const says = role === 'serve' || (role === 'worker' && !process.connected)
  if (role !== 'all' || config.redisUrl !== undefined) believeCertificates((text) => says && logger.warn(text))
  const channel = process.connected ? process : undefined
  return { config, logger, version: VERSION, env: process.env, stop, channel, tracing }
}

/** Workers of a supervisor write to its terminal. */
function screenFor({ logFormat }: Config): typeof process.stdout | undefined {
  const pretty = logFormat === undefined ? process.stdout.isTTY : logFormat === 'pretty'
  return pretty ? process.stdout : undefined
}

function surroundings(): Surroundings {
  const { url, token } = loadConfig(process.env)
  const tell = (text: string) => void process.stderr.write(`layerd: ${text}\n`)
  tellUnknownNames(tell)
  if (/^https:/i.test(url)) believeCertificates(tell)
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    cwd: process.cwd(),
    env: {
      url,
      token,
      plain: process.env['TERM'] === 'dumb' || Boolean(process.env['CI']),
      ascii: !isUtf8(process.env),
    },
    onInterrupt(listener) {
      process.on('SIGINT', listener)
      return () => process.off('SIGINT', listener)
    },
  }
}

/** Source: POSIX, locale: the first of these that is set. */
function isUtf8({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): boolean {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '')
}

function tellUnknownNames(tell: (text: string) => void): void {
  for (const unknown of unknownNames(process.env, SETTING_NAMES)) tell(unknownNameText(unknown))
}

function believeCertificates(tell: (text: string) => unknown): void {
  const certificates = findCertificates(process.env)
  certificates.warnings.forEach(tell)
  believe(certificates)
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
