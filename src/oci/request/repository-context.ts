import type { SessionNote, UploadKey, UploadSessionStore } from '../../content/checkpoint.ts'
import type { Digest } from '../../content/digest.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { RetryPolicy } from '../../lib/retry.ts'
import type { RetryBudget } from '../../lib/retry-budget.ts'
import type { LearnedFacts } from '../facts/learned-facts.ts'
import type { RegistryProfile } from '../facts/registry-profile.ts'
import type { RegistryTransport, Scope } from './transport.ts'

/** All that the requests of one repository share. */
export interface RepositoryContext {
  readonly transport: RegistryTransport
  readonly repository: string
  readonly profile: RegistryProfile
  readonly learned: LearnedFacts
  /** Tells other processes what is new of it. */
  readonly shareLearned: () => void
  /** Whether the caller shows the same credential there as here: no request can bring two (oci-client.md A14). */
  readonly mayMountFrom: (repository: string) => Promise<boolean>
  readonly seen: SeenBlobs
  readonly sessions: UploadSessionStore | undefined
  readonly logger: Logger
  readonly clock: Clock
  /** For blob bodies; small requests are retried by the transport. */
  readonly retry: RetryPolicy
  /** Of the job; undefined where nobody waits for a place. */
  readonly budget: RetryBudget | undefined
  /** Whether the transport has retried this error as often as it may: trying the whole blob again would multiply that. */
  isSpent(error: unknown): boolean
  /** How long a blob is looked for after its commit got no answer, ms. */
  readonly commitWaitMs: number
}

/** What was seen of the repository's blobs. */
export interface SeenBlobs {
  /** The last one that was asked for was not there, so the next one is likely not to be there either. */
  lacking: boolean
  /** How many were sent, and the last of them. */
  sent: number
  newest: Digest | undefined
}

/** The transport, and which errors came out of its own retries. */
export function rememberSpent(transport: RegistryTransport): Pick<RepositoryContext, 'transport' | 'isSpent'> {
  const spent = new WeakSet<object>()
  return {
    isSpent: (error) => typeof error === 'object' && error !== null && spent.has(error),
    transport: {
      registry: transport.registry,
      refreshAuth: (scopes, signal) => transport.refreshAuth(scopes, signal),
      refused: (request, response, text) => transport.refused(request, response, text),
      error: (request, response, message) => transport.error(request, response, message),
      async send(request, options) {
        try {
          return await transport.send(request, options)
        } catch (error) {
          if (request.lane === 'control' && error instanceof Error) spent.add(error)
          throw error
        }
      },
    },
  }
}

export function pullScope(context: RepositoryContext): readonly Scope[] {
  return [{ repository: context.repository, actions: ['pull'] }]
}

export function pushScope(context: RepositoryContext): readonly Scope[] {
  return [{ repository: context.repository, actions: ['pull', 'push'] }]
}

/** Quay takes no scope with an action that it does not know. Source: oci-client.md A13. */
export function deleteScope(context: RepositoryContext): readonly Scope[] {
  if (context.profile.name === 'quay') return pushScope(context)
  return [{ repository: context.repository, actions: ['delete'] }]
}

export function blobPath(context: RepositoryContext, digest: Digest): string {
  return `/v2/${context.repository}/blobs/${digest}`
}

export function uploadsPath(context: RepositoryContext): string {
  return `/v2/${context.repository}/blobs/uploads/`
}

/** A smaller blob is sent again sooner than its session is written and removed, and packages have thousands of them. */
export const KEPT_SESSION_MIN_BYTES = 1024 * 1024

/** Where the upload session of a blob of this size is kept beyond this process; null is a size that is not known. */
export function sessionsFor(context: RepositoryContext, size: number | null): UploadSessionStore | undefined {
  return size === null || size >= KEPT_SESSION_MIN_BYTES ? context.sessions : undefined
}

/** A session that was opened, and the note of it where sessions are kept. */
export interface OpenedSession {
  readonly location: URL
  readonly note?: SessionNote
}

export function noted(context: RepositoryContext, location: URL): OpenedSession {
  const { sessions, transport, repository } = context
  if (!sessions) return { location }
  return { location, note: sessions.opened({ registry: transport.registry, repository }, location.href) }
}

export function uploadKey(context: RepositoryContext, digest: Digest): UploadKey {
  return { registry: context.transport.registry, repository: context.repository, digest }
}

/** `host/namespace/name`, as people name it in messages; of a registry as a whole, `host`. */
export function placeName({ transport: { registry }, repository }: RepositoryContext): string {
  return repository === '' ? registry : `${registry}/${repository}`
}
