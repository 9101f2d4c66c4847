import { parseReference } from '../content/reference.ts'
import type { JobBlobPlaces } from '../jobs/hints/blob-places.ts'
import type { WireTrace } from '../content/wire-request.ts'
import type { Job } from '../jobs/model/definitions.ts'
import type { JobCredentials } from '../jobs/model/requests.ts'
import type { TagLocks } from '../jobs/redis/tag-locks.ts'
import type { JobTransferClaims } from '../jobs/uploads/transfer-claims.ts'
import type { EngineEvent, MirrorNote } from '../transfer/events.ts'
import type { PublishDependencies, PublishRequest } from '../transfer/publish/publish.ts'
import type { PullRequest } from '../transfer/pull/pull.ts'
import type { SignRequest } from '../transfer/signing.ts'
import { createVerification, type TrustedRoots, type Verification } from '../trust/verification.ts'
import type { JobKeys } from './job-keys.ts'
import type { PolicyKind } from '../jobs/model/policy.ts'
import { bothHold, type Policies, type PolicyPlace } from './policies.ts'
import { tellWarnings } from './registry-warnings.ts'
import type { RunContext } from './run-job.ts'

/** How a run reaches its registries: its own credentials before Docker's, its own upload checkpoints. */
export interface RegistryAccess {
  credentials: JobCredentials | undefined
  plainHttp: boolean
  jobId: string
  epoch: number
  signal: AbortSignal
  /** Throws when the run may send nothing any more. */
  mayUse(): void
  /** Told of requests that wait to be tried again. */
  onWait(request: object, wait: Extract<EngineEvent, { type: 'waiting' }>['wait']): void
  /** Told of what comes in answers' bodies; undefined: nobody reads that one any more. */
  onBody(answer: object, bytes: number | undefined): void
  /** Told of what a registry says beside its answers. */
  onWarning(registry: string, text: string): void
  /** It reads alone: what a mirror has may come from there. */
  reads: boolean
  /** Told where a mirror did not serve. */
  onMirror(registry: string, note: MirrorNote): void
  /** Told of the run's requests. */
  trace: WireTrace
}

/** Opens repositories as one run may. */
export type Registries = (access: RegistryAccess) => PublishDependencies['repository']

/** Blobs at once, where the job says nothing. */
export const DEFAULT_CONCURRENCY = 6

export interface TransferOptions {
  registries: Registries
  /** Without them nothing is mounted, and nobody is told where blobs are. */
  places?: JobBlobPlaces
}

/** What jobs may verify signatures with. */
export interface VerifyOptions {
  trustedRoots: TrustedRoots
  keys: JobKeys
  /** Default: none. */
  policies?: Policies
}

/** What a pull or copy wants to hold of its package: the policy for where it lies, then the job. Throws TRUSTED_ROOT_*, KEY_INVALID, CONFIG_INVALID. */
export async function verificationOf(
  kind: 'pull' | 'copy' | 'deploy',
  { options, source }: Job,
  { trustedRoots, keys, policies }: VerifyOptions,
): Promise<Pick<PullRequest, 'verification' | 'bundledVerificationFor'>> {
  const [policy, own] = [
    await policies?.verification(kind, parseReference(source)),
    await createVerification(options.verify, trustedRoots, keys),
  ]
  const verification = bothHold(policy, own)
  return { ...(verification ? { verification } : {}), ...(await bundledVerification(kind, policies)) }
}

/**
 * The same for the copy that a deploy has made. What comes from no registry has no repository that a rule could name: rules for all of them
 * (`*` and `**`) hold for it.
 */
export async function localVerification(
  { options, source }: Job,
  { trustedRoots, keys, policies }: VerifyOptions,
): Promise<Verification | undefined> {
  const place = source.startsWith('oci://') ? parseReference(source) : NOWHERE
  const policy = await policies?.verification('deploy', place)
  return bothHold(policy, await createVerification(options.verify, trustedRoots, keys))
}

const NOWHERE: PolicyPlace = { registry: 'nowhere.invalid', repository: 'local' }

/** Packages of a bundle are held against the policy for the repositories that they are of. */
async function bundledVerification(
  kind: PolicyKind,
  policies: Policies | undefined,
): Promise<Pick<PullRequest, 'bundledVerificationFor'>> {
  const once = policies?.readOnce()
  if (!once || !(await once.any())) return {}
  return { bundledVerificationFor: (place) => once.verification(kind, place) }
}

/**
 * The same for a publish, whose repository is known once its package was read: what the policy wants has to hold of what lies
 * there then.
 */
export async function publishVerification(
  { options }: Job,
  { registry }: Pick<PolicyPlace, 'registry'>,
  { trustedRoots, keys, policies }: VerifyOptions,
): Promise<Pick<PublishRequest, 'verificationFor' | 'signedVerificationFor' | 'bundledVerificationFor'>> {
  const own = await createVerification(options.verify, trustedRoots, keys)
  const concerned = await policies?.concern('publish', registry)
  const bundled = await bundledVerification('publish', policies)
  if (!own && !concerned) return bundled
  const policy = async (repository: string) => await policies?.verification('publish', { registry, repository })
  if (!options.sign) {
    return { ...bundled, verificationFor: async (repository) => bothHold(await policy(repository), own) }
  }
  return {
    ...bundled,
    ...(own ? { verificationFor: async () => own } : {}),
    ...(concerned ? { signedVerificationFor: policy } : {}),
  }
}

/** What the job signs with. Throws KEY_NOT_FOUND, CREDENTIALS_INVALID, PACKAGE_NOT_SIGNABLE. */
export async function signingOf({ options }: Job, { keys }: VerifyOptions): Promise<{ sign?: SignRequest }> {
  return options.sign ? { sign: await keys.signer(options.sign.keyRef) } : {}
}

/** A run's way to registries, and to other servers. */
export function registryAccess({ id, kind, options }: Job, context: RunContext): RegistryAccess {
  const { credentials, epoch, signal, onEvent } = context
  return {
    credentials,
    plainHttp: options.plainHttp ?? false,
    jobId: id,
    epoch,
    signal,
    mayUse: () => context.checkLease(),
    onWait: (request, wait) => onEvent({ type: 'waiting', request, wait }),
    onBody: (answer, bytes) => context.onBody(answer, bytes),
    onWarning: tellWarnings(onEvent),
    reads: kind === 'pull',
    onMirror: (_registry, { kind: what, message }) =>
      onEvent({ type: 'log', level: what === 'miss' ? 'info' : 'warn', message }),
    trace: context.trace,
  }
}

/** What every transfer gets of its run, whatever its ends. */
export function transferDependencies(
  { registries, places }: TransferOptions,
  job: Job,
  context: RunContext,
): Pick<PublishDependencies, 'repository' | 'places' | 'checkOwnership' | 'onEvent' | 'signal'> {
  const { signal, onEvent } = context
  return {
    repository: context.places.within(registries(registryAccess(job, context))),
    ...(places ? { places: context.places.hintsFrom(places) } : {}),
    checkOwnership: () => context.checkOwnership(),
    onEvent,
    signal,
  }
}

/** Of jobs that write tags. */
export interface PushOptions extends TransferOptions {
  locks: TagLocks
  /** Without them each run sends for itself. */
  claims?: JobTransferClaims
}

/** What those get of their run. */
export function pushDependencies(
  options: PushOptions,
  job: Job,
  context: RunContext,
): ReturnType<typeof transferDependencies> & Pick<PublishDependencies, 'claims' | 'lockTag'> {
  const { locks, claims } = options
  return {
    ...transferDependencies(options, job, context),
    ...(claims ? { claims: claims.forRun(job.id, context.epoch) } : {}),
    lockTag: (reference, task) => locks.withTagLock(reference, context.signal, task),
  }
}
