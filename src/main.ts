#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { isClientCommand, runCommand, usage as clientUsage } from './cli/cli.ts'
import { type Config, loadConfig, requireSafeListen } from './config/config.ts'
import { type DataDirectory, openDataDirectory } from './daemon/data-directory.ts'
import { lockDataDirectory } from './daemon/directory-lock.ts'
import { joinRedis } from './daemon/shared-id.ts'
import { redisProgram, redisTarget, superviseRedis, superviseWorkers } from './daemon/supervisor.ts'
import { createApp } from './http/app.ts'
import { createUploadCheckpoints } from './jobs/checkpoints.ts'
import type { JobKind } from './jobs/definitions.ts'
import { createJobEventReader } from './jobs/events.ts'
import { createTagLocks } from './jobs/locks.ts'
import { createTransferClaims } from './jobs/transfer-claims.ts'
import { createJobQueue, type JobCredentials } from './jobs/queue.ts'
import { createJobRuns } from './jobs/runs.ts'
import { AppError, toAppError } from './lib/errors.ts'
import { createLogger, type Logger } from './lib/logger.ts'
import { openUploadFolder } from './lib/upload-folder.ts'
import { createRegistryConnections } from './oci/connections.ts'
import { dockerCredentials } from './oci/credentials/docker-config.ts'
import { fixedCredentials } from './oci/credentials/fixed.ts'
import { chainProviders } from './oci/credentials/provider.ts'
import { createRegistryClient, type RegistryClientOptions } from './oci/registry.ts'
import { createContentStore } from './store/content-store.ts'
import { inspectPackage } from './transfer/inspect.ts'
import type { Registries } from './worker/registry-access.ts'
import { publishWork } from './worker/run-publish.ts'
import { pullWork } from './worker/run-pull.ts'
import { startWorker } from './worker/worker.ts'
import { openPackage } from './zarf/package.ts'

const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version

/** The kinds that workers can run; the API takes no other. */
const KINDS: ReadonlySet<JobKind> = new Set<JobKind>(['publish', 'pull'])

/** All of a shutdown but the end of Redis; `docker stop` gives 10 s before it kills. */
const DRAIN_MS = 8000
/** Without its supervisor a worker only hands back what it has. */
const ORPHAN_DRAIN_MS = 1000
/** npm hands a Ctrl-C on a second time. */
const SAME_SIGNAL_MS = 1000
/** What killed jobs left in the store is looked for so often; most of it goes earlier, with its package. */
const COLLECT_MS = 3_600_000

const USAGE = `layerd ${VERSION}: package manager service for Zarf packages in OCI registries

  layerd                     API, workers and a private Redis: all that one machine needs
  layerd serve               the API alone
  layerd worker [--name N]   takes jobs and moves bytes
  layerd --version | --help

${clientUsage()}`

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args
  if (command === '--version' || command === '-V') return print(`layerd ${VERSION}\n`)
  if (command === '--help' || command === '-h' || command === 'help') return print(USAGE)
  if (isClientCommand(command)) return runClient(args)
  const [option, name, ...more] = rest
  if (command === 'worker' && option === '--name' && name && more.length === 0) return runWorker(name)
  if (rest.length === 0) {
    if (command === undefined) return runAll()
    if (command === 'serve') return runServe()
    if (command === 'worker') return runWorker(undefined)
  }
  process.stderr.write(`layerd: there is no "${args.join(' ')}"\n\n${USAGE}`)
  return 2
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

async function runAll(): Promise<number> {
  const { config, logger } = prepare('layerd', 'all')
  requireSafeListen(config)
  const stop = stopSignal()
  const program = await redisProgram(config, process.env['PATH'] ?? '')
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  await using _lock = await lockDataDirectory(config.dataDir)
  await using stack = new AsyncDisposableStack()
  const redis = await superviseRedis(config, { program, logger })
  stack.defer(() => redis.stop())
  await joinRedis(config, directory)
  const api = await startApi(config, directory, { logger, allInOne: config.workers > 0 })
  stack.defer(() => api.close())
  const workers = superviseWorkers({
    config,
    directory,
    command: [process.execPath, ...process.execArgv, import.meta.filename],
    graceMs: DRAIN_MS + 1000,
    logger,
  })
  logger.info({ url: api.url, workers: config.workers, data: config.dataDir }, 'layerd is up')
  logger.info({ signal: await stop }, 'layerd is shutting down')
  await Promise.all([api.drain(), workers.stop()])
  return 0
}

async function runServe(): Promise<number> {
  const { config, logger } = prepare('layerd serve', 'serve')
  requireSafeListen(config)
  const stop = stopSignal()
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  await joinRedis(config, directory)
  const api = await startApi(config, directory, { logger, allInOne: false })
  logger.info({ url: api.url }, 'layerd is up')
  logger.info({ signal: await stop }, 'layerd is shutting down')
  await api.drain()
  await api.close()
  return 0
}

async function runWorker(given: string | undefined): Promise<number> {
  // A supervisor gives a name once; whoever starts workers by hand need not.
  const supervised = process.connected
  const unique = `${process.pid.toString(36)}-${Date.now().toString(36)}`
  const name = given !== undefined && supervised ? given : `${given ?? hostname()}-${unique}`
  const { config, logger } = prepare(`layerd worker --name ${name}`, 'worker')
  const stop = Promise.race([stopSignal(), orphaned()])
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  await joinRedis(config, directory)
  const own = logger.child({ worker: name })
  const shared = { ...queueOptions(config, directory), logger: own }
  const runs = createJobRuns(shared)
  const worker = await startWorker({
    ...shared,
    runs,
    name,
    work: await workOf(config, directory, own),
    jobs: config.jobsPerWorker,
  })
  own.info('worker takes jobs')
  const reason = await stop
  own.info({ reason }, 'worker is shutting down')
  const graceMs = reason === 'orphaned' ? ORPHAN_DRAIN_MS : DRAIN_MS
  // Redis may be gone too, and then nothing can be handed back: the locks run out, and another worker takes over.
  const drained = await Promise.race([worker.stop(graceMs), delay(graceMs + 500, { drained: false })])
  if (!drained.drained) own.warn('worker ends without having handed back all its jobs')
  return 0
}

async function workOf(config: Config, directory: DataDirectory, logger: Logger) {
  const shared = queueOptions(config, directory)
  const clientFor = registryClients(config, logger)
  const checkpoints = createUploadCheckpoints({ ...shared, logger })
  const registries: Registries = ({ jobId, epoch, ...access }) => {
    const client = clientFor({ ...access, sessions: checkpoints.forRun(jobId, epoch) })
    return (registry, repository) => client.repository(registry, repository)
  }
  const uploads = await openUploadFolder({ folder: directory.uploads })
  return {
    publish: publishWork({
      sources: { roots: config.fileRoots, uploads },
      locks: createTagLocks({ ...shared, logger }),
      claims: createTransferClaims({ ...shared, logger }),
      openPackage,
      registries,
    }),
    pull: pullWork({ store: await openStore(config, directory), roots: config.fileRoots, registries }),
  }
}

interface ClientAccess extends Pick<RegistryClientOptions, 'sessions' | 'signal'> {
  credentials: JobCredentials | undefined
  plainHttp: boolean
}

/** Registries over this process's connections, each caller with its own credentials before Docker's. */
function registryClients(config: Config, logger: Logger) {
  const { HTTP_PROXY, http_proxy, HTTPS_PROXY, https_proxy, NO_PROXY, no_proxy } = process.env
  const http = http_proxy || HTTP_PROXY
  const https = https_proxy || HTTPS_PROXY
  const no = no_proxy || NO_PROXY
  const connections = createRegistryConnections({
    version: VERSION,
    proxy: { ...(http ? { http } : {}), ...(https ? { https } : {}), ...(no ? { no } : {}) },
  })
  const docker = dockerCredentials({ env: process.env })
  const plain = new Set(config.plainHttpRegistries)
  return ({ credentials: given, plainHttp, ...access }: ClientAccess) =>
    createRegistryClient({
      ...access,
      connections,
      credentials: given ? chainProviders(fixedCredentials(given.registry, given), docker) : docker,
      plainHttp: (registry) => plainHttp || plain.has(registry.toLowerCase()),
      logger,
    })
}

function openStore({ storeMaxBytes }: Config, { store }: DataDirectory) {
  return createContentStore({ folder: store, ...(storeMaxBytes === undefined ? {} : { maxBytes: storeMaxBytes }) })
}

async function startApi(
  config: Config,
  directory: DataDirectory,
  { logger, allInOne }: { logger: Logger; allInOne: boolean },
) {
  const shared = { ...queueOptions(config, directory), logger }
  const uploads = await openUploadFolder({ folder: directory.uploads })
  const queue = createJobQueue(shared)
  const events = createJobEventReader(shared)
  const store = await openStore(config, directory)
  const clientFor = registryClients(config, logger)
  const app = createApp({
    queue,
    events,
    uploads,
    store,
    async inspect(request, access) {
      const { registry, repository } = request.reference
      const opened = await clientFor(access).repository(registry, repository)
      return inspectPackage(request, { repository: opened, signal: access.signal })
    },
    logger,
    version: VERSION,
    listenHost: config.listen.host,
    publicUrl: config.publicUrl,
    tokensFile: config.tokensFile,
    fileRoots: config.fileRoots,
    kinds: KINDS,
    allInOne,
  })
  const url = await app.listen(config.listen).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall === undefined) throw error
    const { host, port } = config.listen
    throw new AppError('CONFIG_INVALID', `LAYERD_LISTEN: cannot listen on ${host}:${port} (${error.code})`)
  })
  const collecting = setInterval(() => {
    store.gc().catch((error: unknown) => logger.warn({ err: error }, 'collecting in the store failed'))
  }, COLLECT_MS)
  return {
    url,
    /** Ends streams, refuses what comes in, waits for what is under way: an upload may take longer than we have. */
    drain: () => Promise.race([app.close(), delay(DRAIN_MS)]),
    async close() {
      clearInterval(collecting)
      await Promise.all([queue.close(), events.close()])
    },
  }
}

function queueOptions(config: Config, directory: DataDirectory) {
  return {
    redis: redisTarget(config),
    prefix: config.redisPrefix,
    secretKey: directory.secretKey,
    registryJobs: config.registryJobs,
  }
}

function prepare(title: string, role: string): { config: Config; logger: Logger } {
  process.title = title
  const config = loadConfig(process.env)
  return { config, logger: createLogger({ level: config.logLevel, name: 'layerd' }).child({ role }) }
}

async function runClient(args: readonly string[]): Promise<number> {
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

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/** Resolves at the first signal. One that comes more than a second later ends the process at once, and its children. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstAt: number | undefined
    for (const [signal, number] of Object.entries(SIGNAL_NUMBERS) as Array<[keyof typeof SIGNAL_NUMBERS, number]>) {
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
