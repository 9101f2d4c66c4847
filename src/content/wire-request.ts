/** What carries a request: our own connections for small ones, one of its own for a large download, or undici's. */
export type WireExchange = 'small' | 'direct' | 'undici'

/** Milliseconds, or -1 for what there was none of: a connection that was there already needed no name. Source: HAR 1.2 "timings". */
export interface WireTimings {
  /** Until there was a connection, without the making of it. */
  readonly blocked: number
  readonly dns: number
  /** TCP and TLS together. */
  readonly connect: number
  readonly ssl: number
  /** The head and the body of the request. */
  readonly send: number
  /** Until the head of the answer. */
  readonly wait: number
  /** Its body, as fast as it was read. */
  readonly receive: number
}

export type WireHeaders = ReadonlyArray<readonly [name: string, value: string]>

/** One request to a registry, its token service or where these led, as it may be told: nothing in it is secret. */
export interface WireRequest {
  /** ms since the epoch. */
  readonly startedAt: number
  /** "push blob". */
  readonly op: string
  readonly method: string
  /** Without user and fragment; of the query what we chose ourselves. */
  readonly url: string
  /** How often its call had been sent by then: once more after a 401, a redirect, a passing fault. */
  readonly try: number
  readonly exchange: WireExchange
  /** It was sent for all who talk to the registry, not for this job alone. */
  readonly shared?: true
  /** Those worth knowing. */
  readonly headers: WireHeaders
  /** Of its body, so many of which went out. */
  readonly bytes: number
  /** Which connection carried it: a number of the process's. */
  readonly connection?: number
  readonly timings: WireTimings
  /** Without it there was none. */
  readonly answer?: {
    readonly status: number
    readonly headers: WireHeaders
    /** Of its body, so many of which were read; null where it was thrown away unread. */
    readonly bytes: number | null
  }
  /** What became of it in place of an answer, or of the body of its answer. */
  readonly error?: { readonly code: string; readonly message: string }
  /** It was still under way when it was told. */
  readonly open?: true
}

/** A request whose telling is put off: most are never told. */
export interface RecordedRequest {
  /** `host[:port]` of the registry that it was sent for. */
  readonly registry: string
  /** Of one that was sent for all: the repositories that it is about, none where it is about the registry. */
  readonly repositories?: readonly string[]
  told(): WireRequest
}

/** Who follows requests. Called synchronously; must not throw. */
export interface WireTrace {
  began(request: RecordedRequest): void
  /** Nothing of it is under way any more. Not called for answers whose body nobody ever wanted. */
  ended(request: RecordedRequest): void
}
