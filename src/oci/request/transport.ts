import type { WireTrace } from '../../content/wire-request.ts'
import type { AppError } from '../../lib/errors.ts'
import type { RetryBudget } from '../../lib/retry-budget.ts'
import type { RegistryTraits } from '../facts/registry-kind.ts'
import type { RegistryWay } from './registry-way.ts'
import type { CredentialLookUp, RegistryCredential } from '../credentials/provider.ts'
import type { CloudCall } from './cloud-call.ts'

/** `repository:<name>:<actions>`. Source: distribution token scope documentation. */
export interface Scope {
  readonly repository: string
  readonly actions: readonly ('pull' | 'push' | 'delete')[]
}

/** Up to here a body is put together and sent in one write with its head. */
export const SMALL_BYTES = 64 * 1024

export interface RegistryRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** A path below the registry's root ("/v2/…", already encoded) or an absolute URL from a Location. */
  target: string | URL
  /** An answer named the path. */
  named?: boolean
  headers?: Record<string, string>
  /** A buffer is sent with Content-Length and may be sent again; a stream factory is called once for each send. */
  body?: Buffer | (() => AsyncIterable<Buffer>)
  /** What a GET is to bring, where that is known: a large body gets a connection of its own (direct-exchange.ts). */
  expectedBytes?: number
  /** Set for a stream body of known length; otherwise a stream goes chunked. */
  contentLength?: number
  /** What the request needs, destination first (oci-client.md A13, A14). */
  scopes: readonly Scope[]
  /** control: small, retried on transient faults, 60 s header timeout. bulk: its own connections, never retried here, 15 min header timeout (T1, T8). */
  lane: 'control' | 'bulk'
  /** Follow redirects by hand, at most 5 hops, no credentials across origins (B2, B3, A16). Default true; never with a body that streams. */
  followRedirects?: boolean
  /** Shows nothing of the caller, and a 401 is the answer. Default false. */
  anonymous?: boolean
  /** Shows user and password as they are, whatever the registry wants at /v2/: for interfaces beside it. Default false. */
  basic?: boolean
  /** For errors: what is being done, "push blob". */
  op: string
  signal: AbortSignal
  /**
   * For a buffer: awaited when its connection is ready and nothing of the request is out, at each try. What it throws ends
   * the call.
   */
  guard?: () => Promise<void>
  /** Told of each wait before another try of a control request. */
  onRetry?: (error: AppError, attempt: number, retryAt: number) => void
}

/** What each call to a repository takes. */
export type CallOptions = Pick<RegistryRequest, 'signal' | 'onRetry'>

export interface RegistryResponse {
  readonly status: number
  /** Lower-case names; several values joined by ", ". */
  header(name: string): string | undefined
  /** Where the answer came from, after redirects. */
  readonly url: URL
  readonly body: AsyncIterable<Buffer>
  /** What went wrong while `body` was read, as one of our errors (REGISTRY_CONNECTION_LOST, REGISTRY_TIMEOUT, the abort's reason). */
  bodyError(error: unknown): Error
  /** Reads the whole body, at most `limit` bytes, out of a coding that nobody asked for; past it throws `tooLong`, default REGISTRY_PROTOCOL_VIOLATION. */
  bytes(limit: number, tooLong?: () => AppError): Promise<Buffer>
  /** Throws the body away so that the connection can be used again. */
  discard(): Promise<void>
  /** Closes a body nobody wants, and its connection with it: what is left of it may be a whole blob. */
  abandon(): void
}

/** One registry as one caller sees it: scheme, connections, credentials, token cache. */
export interface RegistryTransport {
  /** `host[:port]` as the reference names it. */
  readonly registry: string
  /**
   * Sends, authenticates (token flow or Basic, at most one refresh per request), and hands back any answer below 400 as
   * well as 404, 405, 416 and whatever else `allow` names; every other status throws the registry's error (REGISTRY_*).
   */
  send(request: RegistryRequest, options?: { allow?: readonly number[] }): Promise<RegistryResponse>
  /** Makes sure that a request with these scopes would go out with a token that is not about to expire (A9). */
  refreshAuth(scopes: readonly Scope[], signal: AbortSignal): Promise<void>
  /** The error for an answer that the caller finds wrong; reads and closes the body (E1, E2). */
  error(request: RegistryRequest, response: RegistryResponse, message?: string): Promise<Error>
  /** The same where the caller has read the body. */
  refused(request: RegistryRequest, response: RegistryResponse, text: string): AppError
}

/** A control request that waits for its next try. */
export interface RequestWait {
  readonly error: AppError
  /** The next one. */
  readonly attempt: number
  /** ms since the epoch. */
  readonly retryAt: number
}

/**
 * Told of requests that nobody else tells of (RegistryRequest.onRetry) and that are tried again for more than two seconds:
 * of each wait, and with undefined once the request has ended. `request` names it.
 */
export type OnWait = (request: object, wait: RequestWait | undefined) => void

/** Hooks.onBody, of this caller's requests. `answer` names it. */
export type OnBody = (answer: object, bytes: number | undefined) => void

/** Told of what a registry says beside its answers (Warning), each time it does. */
export type OnWarning = (registry: string, text: string) => void

/** Told what answers of the registry itself show of it: neither its storage's nor its token service's. */
export type OnTraits = (traits: RegistryTraits) => void

/** Who talks to a registry, and how. */
export interface TransportCaller {
  /** Undefined is anonymous; a function is called once the registry wants a log-in, and again where it fails. */
  credential: RegistryCredential | CredentialLookUp | undefined
  plainHttp: boolean
  /** Default: as all registries are reached. */
  way?: RegistryWay
  /** Looks the credential up again when it was refused: cloud passwords run out while a job waits (oci-client.md A12). */
  renew?: CredentialLookUp
  /** Throws when this caller may send nothing any more; asked before each request, as it goes out, and before each part of its body. */
  mayUse?: () => void
  /** Whether it waits when its registry limits requests. Default true; false where somebody wants to see that it does. */
  paced?: boolean
  /** What this caller may wait for next tries in all. */
  budget?: RetryBudget
  onWait?: OnWait
  onBody?: OnBody
  onWarning?: OnWarning
  onTraits?: OnTraits
  /** Told of each request of this caller; those that it shares with others are the connections' own. */
  trace?: WireTrace
}

/** Connections and learnt facts shared by all callers of a process. */
export interface RegistryConnections extends AsyncDisposable {
  transport(registry: string, caller: TransportCaller): RegistryTransport
  /** What registries' clouds are asked by. */
  readonly cloud: CloudCall
}
