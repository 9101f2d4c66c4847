/** What may be asked of one registry by all processes together. Null: as much as it takes. */
export interface RegistryLimits {
  /** Jobs that run at once. Null: as many as of others. */
  readonly jobs: number | null
  /** Bodies of blobs that are on their way at once, up and down. */
  readonly concurrency: number | null
  readonly requestsPerSecond: number | null
  /** Of bodies of blobs, up and down together. */
  readonly bytesPerSecond: number | null
}

/** How a host is gone easy on, as of now: times are spans, since no two machines' clocks agree. */
export interface SharedPace {
  /** Nothing goes out for so long. */
  readonly pauseMs: number
  /** The status that it was refused with; 0: none. */
  readonly status: number
  /** The requests a second that were refused, and how long ago they may go out again (negative: not yet). */
  readonly learnt: { readonly perSecond: number; readonly sinceMs: number } | undefined
}

/** Requests that may go out: the first after `delayMs`, each further one `everyMs` later. */
export interface SharedTurns {
  readonly count: number
  readonly delayMs: number
  readonly everyMs: number
  readonly pace: SharedPace
}

export interface SharedPlaces {
  /** Bodies that this process may have under way. */
  readonly held: number
  /** What it would have of them if all that want some had as many. */
  readonly fair: number
}

/** What one process saw of a refusal. */
export interface SharedRefusal {
  readonly status: number
  readonly pauseMs: number
  /** Of the requests that were under way together, it is the first to be refused. */
  readonly first: boolean
  /** Requests a second that this process had let in lately; undefined: too few to tell. */
  readonly measured: number | undefined
}

export interface LimitListener {
  /** Another process was refused. */
  paused(host: string, pace: SharedPace): void
  /** Another process has given back a place that somebody waits for. */
  freed(registry: string): void
  /** What was told meanwhile may have been missed. */
  gap(): void
}

/**
 * The account of what all processes together ask of registries. Whatever is asked answers undefined where it can't be told
 * now; who asked then keeps to the limit by itself. Nothing here throws.
 */
export interface SharedLimits {
  /** What is kept for `host[:port]`, in any of a registry's names. Undefined: nothing. */
  limitsOf(host: string): RegistryLimits | undefined
  /** `perSecond`: the limit, undefined for none but what was learnt. As few as fits in the time that others must wait for. */
  turns(host: string, perSecond: number | undefined, wanted: number): Promise<SharedTurns | undefined>
  bytes(
    registry: string,
    perSecond: number,
    wanted: number,
  ): Promise<{ readonly bytes: number; readonly delayMs: number } | undefined>
  /** `used`: bodies of this process that are under way; `wanted`: these and those that wait. Has to be asked again within ten seconds. */
  places(
    registry: string,
    limit: number,
    bodies: { readonly used: number; readonly wanted: number },
  ): Promise<SharedPlaces | undefined>
  refused(host: string, refusal: SharedRefusal): Promise<void>
  pace(host: string): Promise<SharedPace | undefined>
  /** One listener; another takes its place. */
  listen(listener: LimitListener): void
}
