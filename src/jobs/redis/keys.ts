import type { UploadKey } from '../../content/checkpoint.ts'
import { isDigest } from '../../content/digest.ts'

/** Every Redis key of layerd. All share one hash tag, so that scripts touch a single slot of a cluster. */
export interface Keys {
  /** Put in front of every key, the hash tag included: `{layerd}:`. */
  readonly prefix: string
  /** BullMQ's own prefix, under the same hash tag. */
  readonly bullPrefix: string
  readonly nodeId: string
  readonly schema: string
  readonly jobs: string
  readonly doneJobs: string
  /** Is there once older jobs, too, are in the sets of who asked for them. */
  readonly owned: string
  readonly outbox: string
  /** Sorted set of queue hosts, scored by their jobs that have not ended. Also the channel that tells a new one. */
  readonly hosts: string
  /** Sorted set of hosts with jobs that have not ended; beside it, of each host the jobs in each state (moves.lua). */
  readonly queues: string
  /** Hash: host -> QueuePause, of queues that are paused. */
  readonly pausedQueues: string
  /** Is there once jobs of older versions, too, are in these. */
  readonly queuesKnown: string
  /** Sorted set of worker processes; the rest of workers.lua's keys below it. Also the channel that tells one that it was drained, or is to go on. */
  readonly workers: string
  /** Hash: the check of the store that runs, or the last one (store-check.lua). */
  readonly storeCheck: string
  /** Jobs whose left upload sessions somebody has to give up, by time. */
  readonly tidy: string
  /** Hash: registry -> what is kept of it, its credentials sealed. Field '': another one with each write. Also the channel that tells which changed. */
  readonly registries: string
  /** Hash: name -> a key that is kept, its private half sealed. Field '' as there. */
  readonly signingKeys: string
  /** Hash: id -> a token that layerd issued, its secret as a hash. Field '' as there; the rest of tokens.lua's keys below it. Also the channel that tells which were taken away. */
  readonly tokens: string
  /** Sorted set of browsers' log-ins, by their ends; the rest of sessions.lua's keys below it. Also the channel that tells which are over. */
  readonly sessions: string
  /** Hash: name -> a rule of the policy. Field '' as there. */
  readonly policies: string
  /** Streams: who did what, and what was refused or failed. */
  readonly audit: string
  readonly refusals: string
  /** Channel: `paused|...` and `freed|...` (limits.lua). */
  readonly limits: string
  /** Stream: which jobs changed. Also the channel that tells it (scripts/jobs/fleet.lua). */
  readonly fleet: string
  /** Who may hear that the job was removed, for a while. */
  removedJob(id: string): string
  /** Channel: `cancel|<jobId>|<reason>`, or `pause|...`. */
  readonly stop: string
  /** Channel: ids of uploads that somebody waits to write to (upload-lock.lua). */
  readonly uploadsWanted: string
  job(id: string): string
  transfers(id: string): string
  transferOrder(id: string): string
  /** Set of the keys under which the job's runs keep upload sessions. */
  uploads(id: string): string
  /** Hash: `<epoch>:<id>` -> upload session that a run has open and that no saved upload covers. */
  openSessions(id: string): string
  /** Stream, and the channel on which its entries are published as `<streamId>|<json>`. */
  events(id: string): string
  /** Stream: `line` -> JobLogLine as JSON. */
  log(id: string): string
  /** List of requests to registries as JSON, as they ended. */
  trace(id: string): string
  /** Hash: number of a run -> how it began, number:end -> how it ended (scripts/jobs/runs.lua). */
  runs(id: string): string
  /** Set: what its runs were about to delete in a registry, as JSON. */
  deletions(id: string): string
  credentials(id: string): string
  jobsInState(state: string): string
  /** Sorted set, by since when (ms, Redis' clock). */
  jobsInQueue(host: string, state: string): string
  jobsOfRegistry(registry: string): string
  /** By who asked for them. */
  jobsOf(principal: string): string
  /** The same of those that have ended, by when. */
  doneJobsOf(principal: string): string
  idempotency(hash: string): string
  tagLock(reference: string): string
  /** Of what is done by one at a time, such as deploys to a cluster. */
  aloneLock(name: string): string
  upload(registry: string, repository: string, digest: string): string
  /** Who may write to an upload that a caller sends in pieces. */
  uploadLock(id: string): string
  /** Which run moves a blob into a repository. */
  transferClaim(registry: string, repository: string, digest: string): string
  /** Hash: digest -> repositories of the registry that held the blob. */
  blobPlaces(registry: string): string
  blobPlacesByTime(registry: string): string
  usedRepositories(registry: string): string
  /** What was learnt of a package file, by its identity. */
  knownPackage(hash: string): string
  /** A signature that was made, by the key's fingerprint and the digest of what it is over. */
  madeSignature(fingerprint: string, digest: string): string
  /** Hash: name -> value and time of what the registry was seen to do. */
  registryFacts(registry: string): string
  /** Hash: what all processes ask of a host. Beside it, as `...:places`, a hash: process -> bodies that it may have under way. */
  registryLimits(host: string): string
  /** A link to a download, by the hash of its secret; and a sorted set of those that a principal made, by their ends. */
  link(id: string): string
  linksOf(owner: string): string
  /** Hash: kind and registry -> what jobs did in the minute or hour (`seconds` long) that begins then (stats.lua). */
  stats(seconds: number, begins: number): string
  /** How often somebody asked in this window of time. */
  rate(key: string): string
  /** Hash: registry -> that it is in the catalogue, and how. Field '' another one with each write. Also the channel that tells that there is something to look at. */
  readonly catalogue: string
  /** What the catalogue knows of a registry, each under a name of its own (jobs/catalogue). */
  catalogueOf(registry: string, what: 'state' | 'names' | 'told' | 'tags' | 'waiting' | 'lease'): string
}

/** `name`: LAYERD_REDIS_PREFIX, default `layerd`. */
export function createKeys(name = 'layerd'): Keys {
  const prefix = `{${name}}:`
  const job = (id: string) => `${prefix}job:${id}`
  return {
    prefix,
    bullPrefix: `${prefix}bull`,
    nodeId: `${prefix}node:id`,
    schema: `${prefix}schema`,
    jobs: `${prefix}jobs`,
    doneJobs: `${prefix}jobs:done`,
    owned: `${prefix}jobs:owned`,
    outbox: `${prefix}outbox`,
    hosts: `${prefix}hosts`,
    ...systemKeys(prefix),
    ...lockKeys(prefix),
    tidy: `${prefix}tidy`,
    registries: `${prefix}registries`,
    signingKeys: `${prefix}keys`,
    tokens: `${prefix}tokens`,
    sessions: `${prefix}sessions`,
    policies: `${prefix}policies`,
    audit: `${prefix}audit`,
    refusals: `${prefix}audit:refused`,
    limits: `${prefix}limits`,
    fleet: `${prefix}fleet`,
    removedJob: (id) => `${prefix}fleet:removed:${id}`,
    stop: `${prefix}stop`,
    uploadsWanted: `${prefix}uploads:wanted`,
    job,
    ...partsOfJob(job),
    credentials: (id) => `${prefix}cred:${id}`,
    jobsInState: (state) => `${prefix}jobs:state:${state}`,
    jobsOfRegistry: (registry) => `${prefix}jobs:host:${registry}`,
    jobsOf: (principal) => `${prefix}jobs:of:${principal}`,
    doneJobsOf: (principal) => `${prefix}jobs:done-of:${principal}`,
    idempotency: (hash) => `${prefix}idem:${hash}`,
    upload: (registry, repository, digest) => `${prefix}upload:${registry}/${repository}@${digest}`,
    transferClaim: (registry, repository, digest) => `${prefix}claim:${registry}/${repository}@${digest}`,
    blobPlaces: (registry) => `${prefix}places:${registry}`,
    blobPlacesByTime: (registry) => `${prefix}places:${registry}:time`,
    usedRepositories: (registry) => `${prefix}places:${registry}:repositories`,
    knownPackage: (hash) => `${prefix}known:${hash}`,
    madeSignature: (fingerprint, digest) => `${prefix}signature:${fingerprint}:${digest}`,
    registryFacts: (registry) => `${prefix}facts:${registry}`,
    link: (id) => `${prefix}link:${id}`,
    linksOf: (owner) => `${prefix}links:${owner}`,
    stats: (seconds, begins) => `${prefix}stats:${seconds}:${begins}`,
    rate: (key) => `${prefix}rate:${key}`,
    ...registryKeys(prefix),
  }
}

function partsOfJob(
  job: (id: string) => string,
): Pick<
  Keys,
  'transfers' | 'transferOrder' | 'uploads' | 'openSessions' | 'events' | 'log' | 'trace' | 'runs' | 'deletions'
> {
  return {
    transfers: (id) => `${job(id)}:transfers`,
    transferOrder: (id) => `${job(id)}:transfers:order`,
    uploads: (id) => `${job(id)}:uploads`,
    openSessions: (id) => `${job(id)}:sessions`,
    events: (id) => `${job(id)}:events`,
    log: (id) => `${job(id)}:log`,
    trace: (id) => `${job(id)}:trace`,
    runs: (id) => `${job(id)}:runs`,
    deletions: (id) => `${job(id)}:deletions`,
  }
}

function systemKeys(
  prefix: string,
): Pick<Keys, 'workers' | 'storeCheck' | 'queues' | 'pausedQueues' | 'queuesKnown' | 'jobsInQueue'> {
  return {
    workers: `${prefix}workers`,
    storeCheck: `${prefix}store:check`,
    queues: `${prefix}queues`,
    pausedQueues: `${prefix}queues:paused`,
    queuesKnown: `${prefix}queues:known`,
    jobsInQueue: (host, state) => `${prefix}queue:${host}:${state}`,
  }
}

function registryKeys(prefix: string): Pick<Keys, 'registryLimits' | 'catalogue' | 'catalogueOf'> {
  return {
    registryLimits: (host) => `${prefix}limits:${host}`,
    catalogue: `${prefix}catalogue`,
    catalogueOf: (registry, what) => `${prefix}catalogue:${what}:${registry}`,
  }
}

function lockKeys(prefix: string): Pick<Keys, 'tagLock' | 'aloneLock' | 'uploadLock'> {
  return {
    tagLock: (reference) => `${prefix}lock:tag:${reference}`,
    aloneLock: (name) => `${prefix}lock:alone:${name}`,
    uploadLock: (id) => `${prefix}lock:upload:${id}`,
  }
}

/** What `upload` made a key of, or undefined for another key. */
export function parseUploadKey({ prefix }: Keys, key: string): UploadKey | undefined {
  const [, registry, repository, digest] = /^upload:([^/]+)\/(.+)@([^@]+)$/.exec(key.slice(prefix.length)) ?? []
  return registry && repository && digest && isDigest(digest) ? { registry, repository, digest } : undefined
}

/** BullMQ refuses ':' in a queue's name, and hosts have ports. Reversible: a queue's name tells its host. */
export function queueName(host: string): string {
  return encodeURIComponent(host)
}

export function queueHost(name: string): string {
  return decodeURIComponent(name)
}
