import type {
  ContentSink,
  ContentSource,
  OpenOptions,
  ByteStream,
  PushOptions,
  BlobOpener,
} from '../content/endpoints.ts'
import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import { registryId } from '../content/reference.ts'
import type { UploadSessionStore } from '../content/checkpoint.ts'
import type { RegistryFactStore } from '../content/registry-facts.ts'
import type { WireTrace } from '../content/wire-request.ts'
import { type Clock, systemClock } from '../lib/clock.ts'
import { type Logger, silentLogger } from '../lib/logger.ts'
import type { RetryPolicy } from '../lib/retry.ts'
import { createRetryBudget, type RetryBudget } from '../lib/retry-budget.ts'
import { pushBlob } from './push/blob-push.ts'
import { openBlob } from './pull/blob-stream.ts'
import { blobExists, statBlob } from './pull/blobs.ts'
import { createLookUps } from './credentials/look-ups.ts'
import type { CredentialProvider } from './credentials/provider.ts'
import { putArtifactOrImage } from './manifests/artifact-or-image.ts'
import { createListing, type RegistryListing } from './manifests/listing.ts'
import { deleteManifest } from './manifests/delete-manifest.ts'
import { getManifest, headManifest, putManifest, type RepositoryManifests } from './manifests/manifests.ts'
import { listReferrers } from './manifests/referrers.ts'
import { createKeptFacts, type KeptFacts } from './facts/kept-facts.ts'
import { createLearnedFacts, type LearnedFacts } from './facts/learned-facts.ts'
import { learnShown, type RegistryTraits } from './facts/registry-kind.ts'
import { type RegistryProfile, profileOf } from './facts/registry-profile.ts'
import { rememberSpent, type RepositoryContext, sessionsFor, uploadKey } from './request/repository-context.ts'
import { toldOf } from './request/told.ts'
import type { RegistryWay } from './request/registry-way.ts'
import { asksByMount } from './push/self-mount.ts'
import { createSessionPool } from './push/sessions/session-pool.ts'
import { mirrorTransport } from './mirror/mirror-transport.ts'
import { createMirrors, type OnMirror } from './mirror/mirrored.ts'
import { listTags } from './manifests/tags.ts'
import { cancelSession } from './push/sessions/upload-requests.ts'
import type {
  CallOptions,
  OnBody,
  OnWait,
  OnWarning,
  RegistryConnections,
  RegistryTransport,
  TransportCaller,
} from './request/transport.ts'

/** One repository of one registry, with the caller's credentials. Control calls retry what is transient by themselves. */
export interface Repository extends ContentSource, ContentSink, RepositoryManifests {
  /**
   * Proves, before any byte moves, that the registry answers, takes the credentials, lets them push and has (or makes)
   * the repository: opens an upload session, which the next push uses. Throws REGISTRY_*.
   */
  preparePush(options: CallOptions): Promise<void>
  /** Gives up a session that preparePush opened and nobody used. Never throws. */
  releasePush(): Promise<void>
  /** Tells the registry that nobody goes on with an upload session; false where it could not be told. Never throws. */
  cancelUpload(location: URL): Promise<boolean>
  /** HEAD of a blob: its size (null when the registry does not say), or undefined when it is absent. Duties B1, B2. */
  stat(digest: Digest, options: CallOptions): Promise<{ size: number | null } | undefined>
  /** `leavesUploads`: an upload of it that was begun is left as it is, where it would be given up as the blob is there. */
  exists(descriptor: Descriptor, options: CallOptions & { leavesUploads?: boolean }): Promise<boolean>
  findsOnPush(size: number): boolean
  open(descriptor: Descriptor, options: OpenOptions): Promise<ByteStream>
  /** Links the blob from another repository where it can (duties U7, U8, A14), else sends it. */
  push(descriptor: Descriptor, open: BlobOpener, options: PushOptions): Promise<void>
}

export type { RegistryListing } from './manifests/listing.ts'
export type { MirrorNote, OnMirror } from './mirror/mirrored.ts'
export type { RequestWait } from './request/transport.ts'

/** For blob bodies. Source: oci-client.md Y2; a try that moved bytes gives the whole budget back. */
const BLOB_RETRY: RetryPolicy = { attempts: 6, baseMs: 500, maxMs: 30_000, maxRetryAfterMs: 600_000 }
const COMMIT_WAIT_MS = 120_000

export interface RepositoryOptions {
  /** Keeps half-sent uploads beyond this process. Without it a cut upload goes on only within one push. */
  sessions?: UploadSessionStore
  logger?: Logger
  clock?: Clock
  /** For blob bodies. Default 6 tries without progress, 0.5 s doubling to 30 s. */
  retry?: RetryPolicy
  /** What all calls together may wait. Default: nothing but the tries of each call limits it. */
  budget?: RetryBudget
  /** What is gone by at the registry. Default: by its host, else by what it shows. */
  profile?: RegistryProfile
  /** How long a blob is looked for after a proxy gave up on its commit, ms. Default 2 minutes. */
  commitWaitMs?: number
}

interface ConnectedOptions extends RepositoryOptions {
  transport: RegistryTransport
  repository: string
  learned?: LearnedFacts
  shareLearned?: () => void
  mayMountFrom?: RepositoryContext['mayMountFrom']
}

export function createRepository(options: ConnectedOptions): Repository {
  const { transport, repository, budget } = options
  const context = contextOf(options)
  const pool = createSessionPool(context)
  /** Gives up the session of a blob that is there: who was killed between the commit and its answer left one behind. */
  const found = async (digest: Digest, size: number | null): Promise<void> => {
    const sessions = sessionsFor(context, size)
    const key = uploadKey(context, digest)
    const saved = await sessions?.load(key)
    if (!saved || !sessions) return
    if (URL.canParse(saved.location)) await pool.giveUp({ location: new URL(saved.location) }, { sessions, key })
    else await sessions.clear(key)
  }
  /** An answer that the job needed; opening sessions and asking after them is none, as it can go on without end. */
  const gained = async <T>(call: Promise<T>): Promise<T> => {
    const answer = await call
    budget?.progressed()
    return answer
  }
  return {
    registry: transport.registry,
    repository,
    get ranges() {
      return context.profile.ranges && context.learned.severalRanges !== false
    },
    preparePush: (call) => pool.prepare(call),
    releasePush: () => pool.release(),
    cancelUpload: async (location) => (await cancelSession(context, location)) === 'told',
    async stat(digest, call) {
      const answer = await gained(statBlob(context, digest, call))
      context.seen.lacking = !answer
      if (answer) await found(digest, answer.size)
      return answer
    },
    async exists(descriptor, { leavesUploads = false, ...call }) {
      const there = await gained(blobExists(context, descriptor, call))
      context.seen.lacking = !there
      if (there && !leavesUploads) await found(descriptor.digest, descriptor.size)
      return there
    },
    findsOnPush: (size) => asksByMount(context, size),
    open: (descriptor, call) => openBlob(context, descriptor, call),
    push: (descriptor, open, call) => gained(pushBlob(context, pool, { descriptor, open }, call)),
    getManifest: (reference, call) => gained(getManifest(context, reference, call)),
    headManifest: (reference, call) => gained(headManifest(context, reference, call)),
    putManifest: (reference, manifest, call) => gained(putManifest(context, reference, manifest, call)),
    putArtifactOrImage: (forms, call) => gained(putArtifactOrImage(context, forms, call)),
    deleteManifest: (reference, call) => gained(deleteManifest(context, reference, call)),
    referrers: (subject, call) => gained(listReferrers(context, subject, call)),
    tags: (call) => gained(listTags(context, call)),
  }
}

function contextOf(options: ConnectedOptions): RepositoryContext {
  const { transport, repository, profile, learned = createLearnedFacts() } = options
  return {
    ...rememberSpent(transport),
    repository,
    get profile() {
      return profile ?? profileOf(transport.registry, learned)
    },
    learned,
    shareLearned: options.shareLearned ?? (() => undefined),
    mayMountFrom: options.mayMountFrom ?? (async () => true),
    seen: { lacking: false, sent: 0, newest: undefined },
    sessions: options.sessions,
    logger: options.logger ?? silentLogger,
    clock: options.clock ?? systemClock,
    retry: options.retry ?? BLOB_RETRY,
    budget: options.budget,
    commitWaitMs: options.commitWaitMs ?? COMMIT_WAIT_MS,
  }
}

export interface RegistryClientOptions extends RepositoryOptions {
  connections: RegistryConnections
  credentials: CredentialProvider
  /** Whether a registry (`host[:port]`) is spoken to over plain HTTP. */
  plainHttp: (registry: string) => boolean
  /** How a registry is reached, asked after its credentials. Throws CREDENTIALS_INVALID. Default: as all are. */
  way?: (registry: string) => RegistryWay
  /** `host[:port][/path]` of where a registry's content is read first. Default: nowhere. */
  mirror?: (registry: string) => string | undefined
  /** Told when a registry was asked after its mirror, once of each kind. */
  onMirror?: OnMirror
  /** Shares what is learnt of registries with other processes. Default: it lives as long as the connections. */
  facts?: RegistryFactStore
  /** Throws when this caller may send nothing any more; asked before each request, as it goes out, and before each part of its body. */
  mayUse?: () => void
  onWait?: OnWait
  onBody?: OnBody
  onWarning?: OnWarning
  trace?: WireTrace
  signal: AbortSignal
}

export type { RegistryRequest, RegistryResponse, RegistryTransport } from './request/transport.ts'

/** Registries as one caller sees them: its credentials, each looked up once and when a registry asks, and its retry budget. */
export interface RegistryClient {
  /** Throws CREDENTIALS_INVALID where a credential file is broken. */
  repository(registry: string, repository: string): Promise<Repository>
  /** The same for who only reads: content comes from the registry's mirror where that has it. A mirror has none itself. */
  mirrored(registry: string, repository: string): Promise<Repository>
  /** The registry as a whole, with the credentials that are for all of it. Throws CREDENTIALS_INVALID. */
  listing(registry: string): Promise<RegistryListing>
  /** Another server, `host[:port]`, over the same connections and under the same rules; nobody's credentials are shown to it. */
  website(host: string): RegistryTransport
}

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const { connections, credentials, plainHttp, way, mirror, onMirror, mayUse, ...others } = options
  const { onWait, onBody, onWarning, trace, signal, ...rest } = others
  /** By repository: those of one registry may have different credentials. */
  const transports = new Map<string, Promise<RegistryTransport>>()
  const lookUps = createLookUps(credentials, signal)
  const budget = options.budget ?? createRetryBudget(options.clock ?? systemClock)
  const caller = { budget, ...toldOf({ mayUse, onWait, onBody, onWarning, trace }) }
  const connect: Connect = async (registry, repository, more = {}) => {
    const { credential, renew } = await lookUps({ registry, repository })
    return connections.transport(registry, {
      ...caller,
      credential,
      plainHttp: plainHttp(registry),
      ...(way ? { way: way(registry) } : {}),
      renew,
      onTraits: (traits) => learnTraits(factsOf(options, registry), traits),
      ...more,
    })
  }
  const sameCredential = comparedBy(lookUps)
  const openMirror = async (host: string, repository: string, registry: string): Promise<Repository> => {
    const hurried = hurriedBy(budget)
    const transport = mirrorTransport(await connect(host, repository, { ...hurried, paced: false }), registry)
    const { learned } = factsOf(options, host)
    return createRepository({ ...rest, ...hurried, transport, repository, learned, retry: ONE_TRY })
  }
  const { clock = systemClock } = options
  const mirrored = createMirrors<Repository>({ mirror, onMirror, open: openMirror, connections, clock })
  const client: RegistryClient = {
    async listing(registry) {
      const [transport] = await Promise.all([connect(registry, ''), factsOf(options, registry).refresh()])
      const { learned } = factsOf(options, registry)
      return createListing(contextOf({ ...rest, budget, transport, repository: '', learned }))
    },
    website: (host) => connections.transport(host, { ...caller, credential: undefined, plainHttp: false }),
    async repository(registry, repository) {
      const name = `${registry}/${repository}`
      const transport = transports.get(name) ?? connect(registry, repository)
      transports.set(name, transport)
      try {
        const kept = factsOf(options, registry)
        // Both at once: a rejection that nobody awaits ends the process.
        const [connected] = await Promise.all([transport, kept.refresh()])
        return createRepository({
          ...rest,
          budget,
          transport: connected,
          repository,
          learned: kept.learned,
          shareLearned: () => kept.share(),
          mayMountFrom: (from) => sameCredential(registry, repository, from),
        })
      } catch (error) {
        transports.delete(name)
        throw error
      }
    },
    mirrored: async (registry, repository) => mirrored(await client.repository(registry, repository)),
  }
  return client
}

/** Whether two repositories of a registry are spoken to with one credential. */
function comparedBy(lookUps: ReturnType<typeof createLookUps>) {
  return async (registry: string, one: string, other: string): Promise<boolean> => {
    const [own, there] = [one, other].map((repository) => lookUps({ registry, repository }))
    try {
      return (await own)?.id === (await there)?.id
    } catch {
      // What is wrong with the file is told where that repository is used.
      return false
    }
  }
}

type Connect = (
  registry: string,
  repository: string,
  more?: Pick<TransportCaller, 'budget' | 'paced'>,
) => Promise<RegistryTransport>

/** Nothing is waited for at a mirror: the registry has it. What comes from there is progress all the same. */
function hurriedBy(budget: RetryBudget): { budget: RetryBudget } {
  return { budget: { allows: () => false, excuse: () => undefined, progressed: () => budget.progressed() } }
}

const ONE_TRY: RetryPolicy = { ...BLOB_RETRY, attempts: 1 }

function learnTraits(kept: KeptFacts, traits: RegistryTraits): void {
  if (learnShown(kept.learned, traits)) kept.share()
}

/** What was learnt of a registry lives as long as the connections that all callers of the process share. */
const learnt = new WeakMap<RegistryConnections, Map<string, KeptFacts>>()

function factsOf({ connections, facts }: RegistryClientOptions, registry: string): KeptFacts {
  const known = learnt.get(connections) ?? new Map<string, KeptFacts>()
  learnt.set(connections, known)
  const id = registryId(registry)
  const kept = known.get(id) ?? createKeptFacts(id, facts)
  known.set(id, kept)
  return kept
}
