import { setTimeout as delay } from 'node:timers/promises'
import type { AuditRecorder } from '../access/audit.ts'
import type { WireTrace } from '../content/wire-request.ts'
import { type DataDirectory, openDataDirectory } from '../daemon/data-directory.ts'
import { placeOf } from '../daemon/kept-workers.ts'
import { joinRedis } from '../daemon/shared-id.ts'
import { createBlobPlaces } from '../jobs/hints/blob-places.ts'
import { createKnownPackages } from '../jobs/hints/known-packages.ts'
import { createUploadCheckpoints } from '../jobs/uploads/checkpoints.ts'
import { createTagLocks } from '../jobs/redis/tag-locks.ts'
import { createRegistryFacts } from '../jobs/hints/registry-facts.ts'
import { createPolicyRecords } from '../jobs/access/policy-records.ts'
import { createKeyRecords } from '../jobs/keys/key-records.ts'
import { createCatalogueRecords } from '../jobs/catalogue/catalogue.ts'
import { createRegistryRecords } from '../jobs/registries/registry-records.ts'
import { createSharedLimits } from '../jobs/registries/shared-limits.ts'
import { createJobDeletions } from '../jobs/progress/deletions.ts'
import { createJobRuns, type LeftUpload } from '../jobs/runs.ts'
import { createTransferClaims } from '../jobs/uploads/transfer-claims.ts'
import { openUploadFolder } from '../files/upload-folder.ts'
import { exposition } from '../metrics/aggregate.ts'
import { createProcessMetrics } from '../metrics/process-metrics.ts'
import { answerFigures } from '../metrics/worker-figures.ts'
import type { SessionCounter } from '../metrics/session-metrics.ts'
import { createWorkerMetrics } from '../metrics/worker-metrics.ts'
import { type HookList, remainingOf } from '../oci/connections.ts'
import type { ContentStore } from '../store/content-store.ts'
import { openPolicies } from '../worker/policies.ts'
import type { Registries } from '../worker/registry-access.ts'
import { applyWork, type ApplyWorkOptions } from '../worker/kinds/run-apply.ts'
import { publishWork, type PublishWorkOptions } from '../worker/kinds/run-publish.ts'
import { deleteWork } from '../worker/kinds/run-delete.ts'
import { retentionWork } from '../worker/kinds/run-retention.ts'
import { copyWork } from '../worker/kinds/run-copy.ts'
import { mirrorWork } from '../worker/kinds/run-mirror.ts'
import { pullWork } from '../worker/kinds/run-pull.ts'
import { verifyWork } from '../worker/kinds/run-verify.ts'
import { tellingCatalogue } from '../worker/kinds/tell-catalogue.ts'
import { createSharedTraces } from '../worker/traces/shared-traces.ts'
import { startWorker, type WorkerOptions } from '../worker/worker.ts'
import { runTracer } from '../tracing/layerd-spans.ts'
import { openTrustedRoots } from '../trust/verification.ts'
import { openArchive } from '../transfer/publish/open.ts'
import { findSourceFault, type PackageMemory } from '../zarf/package.ts'
import { openUpdate } from '../zarf/update-archive.ts'
import { openAudit } from './audit.ts'
import { deployKinds } from './deploys.ts'
import { DRAIN_MS, type RoleContext } from './context.ts'
import { keptKeys } from './kept-keys.ts'
import { openStore, queueOptions } from './parts.ts'
import { outboundPolicy, processRegistries, type RegistryClients } from './registry-clients.ts'
import { listenForProbes } from './worker-listener.ts'

/** Without its supervisor a worker only hands back what it has. */
const ORPHAN_DRAIN_MS = 1000
/** A registry that does not answer keeps its open upload. */
const GIVE_UP_MS = 10_000

/** `layerd worker`: takes jobs and moves bytes. `name` is this process's alone; `label` what people call it. Default: its place. */
export async function runWorker(
  context: RoleContext,
  { name, label = placeOf(name) }: { name: string; label?: string | undefined },
): Promise<number> {
  const { config } = context
  const directory = await openDataDirectory({ path: config.dataDir, secretKeyFile: config.secretKeyFile })
  if (!(await joinRedis(config, directory, context))) return 0
  const logger = context.logger.child({ worker: name })
  const shared = { ...queueOptions(config, directory), logger }
  await using store = await openStore(config, directory)
  const metrics = createProcessMetrics()
  const { observer, hooks, countSessions } = createWorkerMetrics(metrics, remainingOf)
  const { tracing } = context
  const sharedTraces = createSharedTraces()
  await using audit = openAudit({ ...shared, entries: config.auditEntries, file: config.auditFile })
  const traced = tracing ? { around: runTracer(tracing) } : {}
  if (context.channel) answerFigures(context.channel, async () => [await metrics.json()])
  const worker = await startWorker({
    ...shared,
    runs: createJobRuns(shared),
    name,
    label,
    version: context.version,
    observer: { ...observer, ...traced },
    sharedTraces,
    ...(await workOf(
      { ...context, logger },
      {
        directory,
        store,
        hooks: tracing ? [hooks, tracing.hooks] : [hooks],
        countSessions,
        sharedTrace: sharedTraces.trace,
        audit: audit.trail,
      },
    )),
    jobs: config.jobsPerWorker,
  })
  await using _listener = await listenForProbes(context, {
    isReady: () => worker.ready(),
    figures: async () => exposition([await metrics.json()]),
  })
  logger.info('worker takes jobs')
  const reason = await context.stop
  logger.info({ reason }, 'worker is shutting down')
  const graceMs = reason === 'orphaned' ? ORPHAN_DRAIN_MS : DRAIN_MS
  // Redis may be gone too, and then nothing can be handed back: the locks run out, and another worker takes over.
  const drained = await Promise.race([worker.stop(graceMs), delay(graceMs + 500, { drained: false })])
  if (!drained.drained) logger.warn('worker ends without having handed back all its jobs')
  return 0
}

interface WorkParts {
  directory: DataDirectory
  store: ContentStore
  hooks: HookList
  countSessions: SessionCounter
  sharedTrace: WireTrace
  audit: AuditRecorder
}

/** What jobs of each kind do, over connections that all of them share. */
async function workOf(
  context: RoleContext,
  { directory, store, hooks, countSessions, sharedTrace, audit }: WorkParts,
): Promise<Pick<WorkerOptions, 'work' | 'giveUp'>> {
  const { config, logger } = context
  const shared = queueOptions(config, directory)
  const records = createRegistryRecords({ ...shared, role: 'worker', logger })
  const policy = outboundPolicy(context, 'worker', records)
  const facts = createRegistryFacts({ ...shared, logger })
  const limits = createSharedLimits({ ...shared, records, logger })
  const { clientFor, kms } = processRegistries(context, { policy, records, facts, limits, hooks, sharedTrace })
  const checkpoints = createUploadCheckpoints({ ...shared, logger })
  const registries: Registries = ({ jobId, epoch, reads, ...access }) => {
    const client = clientFor({
      ...access,
      sessions: countSessions(checkpoints.forRun(jobId, epoch, access.credentials)),
    })
    return (registry, repository) =>
      reads ? client.mirrored(registry, repository) : client.repository(registry, repository)
  }
  const uploads = await openUploadFolder({ folder: directory.uploads })
  const places = createBlobPlaces({ ...shared, logger })
  const memory = createKnownPackages({ ...shared, logger })
  const locks = createTagLocks({ ...shared, logger })
  const claims = createTransferClaims({ ...shared, logger })
  const trustedRoots = openTrustedRoots(config.trustedRoots)
  const keys = keptKeys(createKeyRecords({ ...shared, role: 'worker', logger }), kms)
  const kept = createPolicyRecords({ ...shared, role: 'worker', logger })
  const policies = openPolicies({ file: config.policyFile, kept }, trustedRoots, keys)
  const signed = { trustedRoots, keys, policies }
  const sources = { roots: config.fileRoots, uploads }
  const archives = archiveParts(config, { memory, clientFor })
  const { openPackage } = archives
  const deleting = { locks, registries, deletions: createJobDeletions({ ...shared, logger }), audit }
  const work = {
    publish: publishWork({
      sources,
      store,
      ...archives,
      locks,
      claims,
      registries,
      places,
      ...signed,
    }),
    copy: copyWork({ locks, claims, registries, places, ...signed }),
    mirror: mirrorWork({ sources, store, openPackage, locks, claims, registries, places, ...signed }),
    delete: deleteWork(deleting),
    retention: retentionWork(deleting),
    pull: pullWork({ store, roots: config.fileRoots, registries, places, ...signed }),
    verify: verifyWork({ sources, store, openPackage, registries, trustedRoots, keys }),
    apply: applyWork({ sources, store, ...archives, trustedRoots, keys }),
    ...(await deployKinds(context, directory, { sources, store, ...archives, locks, registries, places, ...signed })),
  }
  const { news } = createCatalogueRecords({ ...shared, role: 'starting', logger })
  const [publish, copy] = [tellingCatalogue(work.publish, news), tellingCatalogue(work.copy, news)]
  return { work: { ...work, publish, copy }, giveUp: (left) => giveUp(left, clientFor) }
}

/** How files that jobs name are opened, be they here or on a web server. */
function archiveParts(
  { zstdWindowBytes: maxWindowBytes }: RoleContext['config'],
  { memory, clientFor }: { memory: PackageMemory; clientFor: RegistryClients },
): Pick<PublishWorkOptions, 'openPackage' | 'websites' | 'findFault'> & Pick<ApplyWorkOptions, 'openUpdate'> {
  return {
    openPackage: (source, options) => openArchive(source, { ...options, memory, maxWindowBytes }),
    openUpdate: (source, options) => openUpdate(source, { ...options, maxWindowBytes }),
    websites: ({ jobId: _jobId, epoch: _epoch, reads: _reads, ...access }) => {
      const client = clientFor(access)
      return (host) => client.website(host)
    },
    findFault: (source, options) => findSourceFault(source, { ...options, maxWindowBytes }),
  }
}

async function giveUp({ place, location, ...access }: LeftUpload, clientFor: RegistryClients): Promise<boolean> {
  try {
    const client = clientFor({ ...access, signal: AbortSignal.timeout(GIVE_UP_MS) })
    return await (await client.repository(place.registry, place.repository)).cancelUpload(new URL(location))
  } catch {
    return false
  }
}
