import { join } from 'node:path'
import { createBlobPlaces } from '../../../src/jobs/hints/blob-places.ts'
import { createJobDeletions } from '../../../src/jobs/progress/deletions.ts'
import { createUploadCheckpoints } from '../../../src/jobs/uploads/checkpoints.ts'
import { createTagLocks } from '../../../src/jobs/redis/tag-locks.ts'
import type { JobCredentials } from '../../../src/jobs/model/requests.ts'
import type { RedisTarget } from '../../../src/jobs/redis/redis.ts'
import { createRegistryFacts } from '../../../src/jobs/hints/registry-facts.ts'
import { createKeyRecords } from '../../../src/jobs/keys/key-records.ts'
import { createRegistryRecords } from '../../../src/jobs/registries/registry-records.ts'
import { createSharedLimits } from '../../../src/jobs/registries/shared-limits.ts'
import { createJobRuns } from '../../../src/jobs/runs.ts'
import { createTransferClaims } from '../../../src/jobs/uploads/transfer-claims.ts'
import { createLogger, type Logger, silentLogger } from '../../../src/lib/logger.ts'
import { openUploadFolder } from '../../../src/files/upload-folder.ts'
import { createRegistryConnections } from '../../../src/oci/connections.ts'
import { dockerCredentials } from '../../../src/oci/credentials/docker-config.ts'
import { fixedCredentials } from '../../../src/oci/credentials/fixed.ts'
import { chainProviders, type CredentialProvider } from '../../../src/oci/credentials/provider.ts'
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from '../../../src/oci/registry.ts'
import { createContentStore } from '../../../src/store/content-store.ts'
import type { RangeTuning } from '../../../src/store/ingest/range-growth.ts'
import { openPolicies } from '../../../src/worker/policies.ts'
import type { Registries } from '../../../src/worker/registry-access.ts'
import { applyWork } from '../../../src/worker/kinds/run-apply.ts'
import { publishWork, type PublishWorkOptions } from '../../../src/worker/kinds/run-publish.ts'
import { deleteWork } from '../../../src/worker/kinds/run-delete.ts'
import { retentionWork } from '../../../src/worker/kinds/run-retention.ts'
import { copyWork } from '../../../src/worker/kinds/run-copy.ts'
import { pullWork } from '../../../src/worker/kinds/run-pull.ts'
import { verifyWork } from '../../../src/worker/kinds/run-verify.ts'
import { createSharedTraces } from '../../../src/worker/traces/shared-traces.ts'
import type { SlowLimit } from '../../../src/worker/slow-transfer.ts'
import { type JobWorker, startWorker } from '../../../src/worker/worker.ts'
import { createClouds } from '../../../src/oci/credentials/clouds/clouds.ts'
import { openAudit } from '../../../src/roles/audit.ts'
import { keptKeys } from '../../../src/roles/kept-keys.ts'
import { createPolicyRecords } from '../../../src/jobs/access/policy-records.ts'
import { openTrustedRoots } from '../../../src/trust/verification.ts'
import { openArchive } from '../../../src/transfer/publish/open.ts'
import { findSourceFault } from '../../../src/zarf/package.ts'
import { openUpdate } from '../../../src/zarf/update-archive.ts'
import { type Cleanup, defer } from '../cleanup.ts'

export interface WorkerChoices {
  /** Jobs at once. Default 4. */
  jobs?: number
  /** Of jobs and tags. Default: 30 s and 15 s. */
  lockMs?: number
  /** What the store may take. Default: what the disk has. */
  storeMaxBytes?: number
  /** When a layer comes over several streams. */
  ranges?: Partial<RangeTuning>
  /** Bytes that the store's disk keeps free. Default 0. */
  diskReserve?: number
  /** Another way to the same Redis, such as a proxy. */
  redis?: RedisTarget
  /** LAYERD_POLICY_FILE. Default: none. */
  policyFile?: string
  /** When a transfer is too slow to keep its place. Default: under 1 KiB/s over five minutes. */
  slow?: SlowLimit
  /** DOCKER_AUTH_CONFIG as it sees it, for jobs without credentials. Default: those are anonymous. */
  dockerAuthConfig?: string
}

export interface TestWorkerOptions extends WorkerChoices {
  redis: RedisTarget
  secretKey: Uint8Array
  roots: readonly string[]
  /** Holds `uploads`, `store` and `trusted-roots`, which all workers share. */
  folder: string
  name: string
  /** Of layerd, as registries see it. Default test. */
  version?: string
  logger?: Logger
}

/** A worker in this process, put together as src/roles does it. Ends with the test. */
export async function startTestWorker(t: Cleanup, options: TestWorkerOptions): Promise<JobWorker> {
  const { redis, secretKey, roots, folder, name, jobs = 4, lockMs, storeMaxBytes, diskReserve = 0 } = options
  const target = { redis, secretKey }
  const runs = createJobRuns(target)
  const locks = createTagLocks({ ...target, ...(lockMs === undefined ? {} : { expiryMs: lockMs }) })
  const checkpoints = createUploadCheckpoints(target)
  const facts = createRegistryFacts(target)
  const claims = createTransferClaims(target)
  const places = createBlobPlaces(target)
  const deletions = createJobDeletions(target)
  const audit = openAudit({ ...target, prefix: 'layerd', entries: 1000, logger: options.logger ?? silentLogger })
  const records = createRegistryRecords({ ...target, role: 'worker' })
  await records.refresh()
  const limits = createSharedLimits({ ...target, records })
  const sharedTraces = createSharedTraces()
  const connections = createRegistryConnections({
    version: options.version ?? 'test',
    limits,
    sharedTrace: sharedTraces.trace,
  })
  const docker = dockerCredentials({ env: { DOCKER_AUTH_CONFIG: options.dockerAuthConfig } })
  const registries: Registries = ({ jobId, epoch, reads: _reads, ...access }) => {
    const client = clientFor({
      ...access,
      docker,
      connections,
      facts,
      sessions: checkpoints.forRun(jobId, epoch, access.credentials),
    })
    return (registry, repository) => client.repository(registry, repository)
  }
  const uploads = await openUploadFolder({ folder: join(folder, 'uploads') })
  const store = await createContentStore({
    folder: join(folder, 'store'),
    keepFree: () => diskReserve,
    ...(storeMaxBytes === undefined ? {} : { maxBytes: storeMaxBytes }),
    ...(options.ranges ? { ranges: options.ranges } : {}),
  })
  const sources = { roots, uploads }
  const trustedRoots = openTrustedRoots(join(folder, 'trusted-roots'))
  const keyRecords = createKeyRecords({ ...target, role: 'worker' })
  const keys = keptKeys(keyRecords, createClouds({ call: connections.cloud, env: {} }).kms)
  const kept = createPolicyRecords({ ...target, role: 'worker' })
  const policies = openPolicies({ file: options.policyFile, kept }, trustedRoots, keys)
  const signed = { trustedRoots, keys, policies }
  const websites: PublishWorkOptions['websites'] = ({ jobId: _jobId, epoch: _epoch, reads: _reads, ...access }) => {
    const client = clientFor({ ...access, docker, connections, facts })
    return (host) => client.website(host)
  }
  const worker = await startWorker({
    ...target,
    runs,
    name,
    work: {
      publish: publishWork({
        sources,
        store,
        locks,
        claims,
        places,
        openPackage: openArchive,
        findFault: findSourceFault,
        websites,
        registries,
        ...signed,
      }),
      copy: copyWork({ locks, claims, places, registries, ...signed }),
      delete: deleteWork({ locks, registries, deletions, audit: audit.trail }),
      retention: retentionWork({ locks, registries, deletions, audit: audit.trail }),
      pull: pullWork({ store, roots, registries, places, ...signed }),
      verify: verifyWork({ sources, store, openPackage: openArchive, registries, trustedRoots, keys }),
      apply: applyWork({ sources, store, websites, findFault: findSourceFault, openUpdate, trustedRoots, keys }),
    },
    async giveUp({ place, location, ...access }) {
      const client = clientFor({ ...access, docker, connections, facts, signal: AbortSignal.timeout(5000) })
      return (await client.repository(place.registry, place.repository)).cancelUpload(new URL(location))
    },
    jobs,
    sharedTraces,
    ...(options.slow ? { slow: options.slow } : {}),
    ...(lockMs === undefined ? {} : { lockMs }),
    logger: options.logger ?? (process.env['DEBUG_LOG'] ? createLogger({ level: 'debug', name }) : silentLogger),
  })
  defer(t, async () => {
    await worker.stop(10_000)
    await connections[Symbol.asyncDispose]()
    records.close()
    keyRecords.close()
    kept.close()
    await audit.close()
    await Promise.all([runs, locks, checkpoints, facts, claims, places, deletions, limits].map((part) => part.close()))
  })
  return worker
}

interface ClientAccess
  extends Pick<RegistryClientOptions, 'connections' | 'facts' | 'sessions' | 'signal' | 'mayUse' | 'trace'> {
  credentials: JobCredentials | undefined
  docker: CredentialProvider
  plainHttp: boolean
}

function clientFor({ credentials, docker, plainHttp, ...access }: ClientAccess): RegistryClient {
  const logins = [credentials, credentials?.also].flatMap((login) => login ?? [])
  const given = logins.map((login) => fixedCredentials(login.registry, login))
  const known = credentials ? chainProviders(...given) : docker
  return createRegistryClient({ ...access, credentials: known, plainHttp: () => plainHttp })
}
