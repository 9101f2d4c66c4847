import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { settingsInForce } from '../config/settings.ts'
import type { ListenAddress } from '../config/listen.ts'
import type { WhyNoRedis } from '../daemon/api-channel.ts'
import type { DataDirectory } from '../daemon/data-directory.ts'
import { type ApiObserver, type App, type AppOptions, createApp } from '../http/app.ts'
import type { JobKind } from '../jobs/model/definitions.ts'
import { type Reference, registryId } from '../content/reference.ts'
import { createRegistryFacts } from '../jobs/hints/registry-facts.ts'
import { createJobEventReader } from '../jobs/progress/events.ts'
import { createPolicyRecords } from '../jobs/access/policy-records.ts'
import { createKeyRecords } from '../jobs/keys/key-records.ts'
import { createRegistryRecords } from '../jobs/registries/registry-records.ts'
import { createSharedLimits } from '../jobs/registries/shared-limits.ts'
import { createJobQueue } from '../jobs/queue.ts'
import { createUploadLocks } from '../jobs/uploads/upload-locks.ts'
import { systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { redactUrl } from '../lib/redact.ts'
import { openUploadFolder } from '../files/upload-folder.ts'
import type { Logger } from '../lib/logger.ts'
import { EXPOSITION_TYPE, exposition } from '../metrics/aggregate.ts'
import { createApiMetrics } from '../metrics/api-metrics.ts'
import { countAudit } from '../metrics/audit-metrics.ts'
import { createFleetMetrics, type FleetMetricsOptions } from '../metrics/fleet-metrics.ts'
import { createProcessMetrics, type MetricJson } from '../metrics/process-metrics.ts'
import { reportProfile } from '../oci/facts/profile-report.ts'
import type { ContentStore } from '../store/content-store.ts'
import { requestTracer } from '../tracing/layerd-spans.ts'
import { inspectBundle } from '../transfer/bundle/inspect.ts'
import { inspectPackage } from '../transfer/inspect/overview.ts'
import { createInspectCache, openRemotePackage } from '../transfer/inspect/remote.ts'
import { inspectRepository } from '../transfer/inspect/repository.ts'
import { findReferrers } from '../transfer/referrers.ts'
import { openAccess } from './access.ts'
import { type Audit, openAudit } from './audit.ts'
import { openCatalogue } from './catalogue.ts'
import { DRAIN_MS, type RoleContext } from './context.ts'
import { watchDisk } from './disk-watch.ts'
import { publicKeyPem } from './kept-keys.ts'
import { openStore, queueOptions } from './parts.ts'
import { startResealing } from './resealing.ts'
import { outboundPolicy, processRegistries, type RegistryClients } from './registry-clients.ts'

/** The kinds that workers can run; the API takes no other. */
const KINDS: readonly JobKind[] = ['publish', 'pull', 'copy', 'verify', 'mirror', 'apply', 'delete', 'retention']
/** Those that need LAYERD_ZARF. */
const DEPLOY_KINDS: readonly JobKind[] = ['deploy', 'remove']

/** What killed jobs left in the store is looked for so often; most of it goes earlier, with its package. */
const COLLECT_MS = 3_600_000

export interface ApiRoleOptions {
  /** Workers belong to this daemon, so that it is ready only when one takes jobs. */
  allInOne: boolean
  /** joinRedis: until Redis is there, only what needs no token is answered. */
  joining: Promise<boolean>
  /** Why the private Redis of this daemon is away. Undefined: nobody knows. */
  whyNoRedis: (() => Promise<WhyNoRedis | undefined>) | undefined
  /** Figures of the workers of this daemon, for /metrics. */
  workerFigures: () => Promise<MetricJson[][]>
  /** How long a port that is taken is tried again. */
  portPatienceMs: number
}

const PORT_POLL_MS = 50

/** As long as an upload waits to be used. */
const TRANSIENT_MS = 24 * 3_600_000

export interface RunningApi {
  readonly url: string
  /** Where LAYERD_LISTEN says 0, the one that the system chose. */
  readonly port: number
  /** Ends streams, refuses what comes in, waits for what is under way: an upload may take longer than we have. */
  drain(): Promise<void>
  close(): Promise<void>
}

/** Starts the API. */
export async function startApi(
  context: RoleContext,
  directory: DataDirectory,
  { allInOne, joining, whyNoRedis, workerFigures, portPatienceMs }: ApiRoleOptions,
): Promise<RunningApi> {
  const { config, logger, version, tracing } = context
  const shared = { ...queueOptions(config, directory), logger }
  const { closeAccess, ...access } = await openAccess(context, shared)
  const audit = openAudit({ ...shared, entries: config.auditEntries, file: config.auditFile })
  const store = await openStore(config, directory)
  const uploads = await openUploadFolder({ folder: directory.uploads, room: store.room })
  const { closeJobs, ...jobs } = jobParts(shared)
  const { queue } = jobs
  const { closeRegistries, ...registries } = registryParts(context, shared, joining)
  let joined = false
  joining.then(
    (isJoined) => (joined = isJoined),
    () => undefined,
  )
  const app = createApp({
    joined: () => joined,
    whyNoRedis: redisTroubles(config, whyNoRedis),
    ...(tracing ? { tracer: requestTracer(tracing) } : {}),
    observer: apiObserver({ queue, store, storeMaxBytes: config.storeMaxBytes }, { workerFigures, audit }),
    ...jobs,
    uploads,
    store,
    ...registries,
    logger,
    version,
    listenHost: config.listen.host,
    publicUrl: config.publicUrl,
    ...access,
    audit: audit.trail,
    system: systemFacts(context),
    fileRoots: config.fileRoots,
    uploadsPerPrincipal: config.uploadsPerPrincipal,
    kinds: new Set([...KINDS, ...(config.zarf === undefined ? [] : DEPLOY_KINDS)]),
    allInOne,
  })
  const { url, port } = await listen(app, config.listen, portPatienceMs)
  const collecting = collectHourly(store, logger)
  const keys = directory.secretKeys.length
  const stopResealing = startResealing({ kept: registries, queue, keys, joining, logger })
  const stopWatching = watchDisk({ disk: () => store.disk(), logger, clock: systemClock })
  return {
    url,
    port,
    drain: () => Promise.race([app.close(), delay(DRAIN_MS)]),
    async close() {
      clearInterval(collecting)
      stopWatching()
      stopResealing()
      closeAccess()
      await Promise.all([audit.close(), closeRegistries(), closeJobs(), store[Symbol.asyncDispose]()])
    },
  }
}

function systemFacts({ config, env }: Pick<RoleContext, 'config' | 'env'>): AppOptions['system'] {
  return {
    settings: settingsInForce(config, env),
    storeMaxBytes: config.storeMaxBytes,
    redisAddress: config.redisUrl === undefined ? undefined : redactUrl(config.redisUrl),
  }
}

async function listen(app: App, address: ListenAddress, patienceMs: number): Promise<{ url: string; port: number }> {
  const giveUpAt = performance.now() + patienceMs
  for (;;) {
    try {
      const url = await app.listen(address)
      return { url, port: (app.server.address() as AddressInfo).port }
    } catch (error) {
      const { syscall, code } = error as NodeJS.ErrnoException
      if (syscall === undefined) throw error
      if (code !== 'EADDRINUSE' || performance.now() > giveUpAt) {
        const { host, port } = address
        throw new AppError('CONFIG_INVALID', `LAYERD_LISTEN: cannot listen on ${host}:${port} (${code})`)
      }
      await delay(PORT_POLL_MS)
    }
  }
}

/** What callers' jobs and uploads are kept by. */
function jobParts(
  shared: ReturnType<typeof queueOptions> & { logger: Logger },
): Pick<AppOptions, 'queue' | 'events' | 'uploadLocks'> & { closeJobs: () => Promise<void> } {
  const [queue, events, uploadLocks] = [createJobQueue(shared), createJobEventReader(shared), createUploadLocks(shared)]
  return {
    queue,
    events,
    uploadLocks,
    closeJobs: async () => void (await Promise.all([queue.close(), events.close(), uploadLocks.close()])),
  }
}

/** A private Redis has no URL that could be wrong. */
function redisTroubles(
  { redisUrl, dataDir }: RoleContext['config'],
  whyAway: ApiRoleOptions['whyNoRedis'] = async () => undefined,
): AppOptions['whyNoRedis'] {
  if (redisUrl !== undefined) return undefined
  const hint = `Try again in a few seconds; if it lasts, look whether layerd runs, and into ${join(dataDir, 'redis', 'redis.log')}.`
  return async () => (await whyAway()) ?? { hint }
}

/** What the API has to do with registries. */
function registryParts(
  context: RoleContext,
  shared: ReturnType<typeof queueOptions>,
  joining: Promise<boolean>,
): Pick<
  AppOptions,
  | 'remote'
  | 'ping'
  | 'registries'
  | 'profiles'
  | 'mayName'
  | 'mayKeep'
  | 'keys'
  | 'policies'
  | 'kmsPublicKey'
  | 'catalogue'
> & {
  closeRegistries: () => Promise<void>
} {
  const { tracing } = context
  const records = createRegistryRecords({ ...shared, role: 'starting' })
  const policy = outboundPolicy(context, 'api', records)
  const hooks = tracing ? { hooks: [tracing.hooks] } : {}
  const facts = createRegistryFacts(shared)
  const limits = createSharedLimits({ ...shared, records, logger: context.logger })
  const keys = createKeyRecords({ ...shared, role: 'starting' })
  const policies = createPolicyRecords({ ...shared, role: 'starting' })
  const { clientFor, ping, kms } = processRegistries(context, { policy, records, facts, limits, ...hooks })
  const catalogue = openCatalogue(context, shared, { clientFor, joining })
  return {
    catalogue: catalogue.records,
    async closeRegistries() {
      records.close()
      keys.close()
      policies.close()
      await Promise.all([facts.close(), limits.close(), catalogue.close()])
    },
    profiles: {
      of: (registry) => reportProfile(registry, facts),
      forget: (registry) => facts.forget(registryId(registry)),
    },
    remote: registryReader(clientFor),
    ping,
    registries: records,
    keys,
    policies,
    async kmsPublicKey(key, secret, signal) {
      return publicKeyPem(await kms.publicKey(key, secret, signal))
    },
    async mayName(registry) {
      await records.refresh()
      policy.check(registry)
    },
    mayKeep: (registry) => void policy.reach(registry),
  }
}

/** Looks at packages in registries. */
function registryReader(clientFor: RegistryClients): AppOptions['remote'] {
  const cache = createInspectCache()
  type Access = Parameters<AppOptions['remote']['open']>[1]
  const ends = async ({ registry, repository }: Reference, access: Access) => {
    const client = clientFor(access)
    return {
      repository: await client.mirrored(registry, repository),
      origin: await client.repository(registry, repository),
      plainHttp: access.plainHttp,
      cache,
      signal: access.signal,
    }
  }
  return {
    inspect: async (request, access) => inspectPackage(request, await ends(request.reference, access)),
    bundle: async (request, access) => inspectBundle(request, await ends(request.reference, access)),
    open: async (request, access) => openRemotePackage(request, await ends(request.reference, access)),
    repository: async (request, access) => inspectRepository(request, await ends(request.reference, access)),
    async referrers(request, access) {
      const { registry, repository } = request.reference
      const opened = await clientFor(access).repository(registry, repository)
      return findReferrers(request, { repository: opened, signal: access.signal })
    },
  }
}

/** What nobody refers to goes, and what was there for somebody who never came. */
function collectHourly(store: ContentStore, logger: Logger): NodeJS.Timeout {
  const collect = async () => {
    const expired = await store.packages.expire(TRANSIENT_MS)
    if (expired > 0) logger.info({ packages: expired }, 'transient packages that nobody fetched are gone')
    await store.gc()
  }
  return setInterval(() => {
    collect().catch((error: unknown) => logger.warn({ err: error }, 'collecting in the store failed'))
  }, COLLECT_MS)
}

/** All that is counted here, in the workers and in Redis, as one text. */
function apiObserver(
  fleet: FleetMetricsOptions,
  { workerFigures, audit }: Pick<ApiRoleOptions, 'workerFigures'> & { audit: Audit },
): ApiObserver {
  const metrics = createProcessMetrics()
  countAudit(metrics, audit.outlets)
  const readFleet = createFleetMetrics(fleet)
  return {
    ...createApiMetrics(metrics),
    async exposition() {
      const [own, shared, workers] = await Promise.all([metrics.json(), readFleet(), workerFigures()])
      return { text: await exposition([own, shared, ...workers]), type: EXPOSITION_TYPE }
    },
  }
}
