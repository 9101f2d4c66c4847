/** How often something may be done. */
export interface Rate {
  /** Times in a window. */
  readonly max: number
  readonly windowMs: number
  /** Where it is greater than the window: what goes on beyond `max` waits longer each time, up to so long. */
  readonly mostMs?: number
}

export interface Counted {
  /** Times in this window, this one included. */
  readonly current: number
  /** Until the window ends. */
  readonly ttlMs: number
}

/** Counts what is done, for all processes together. Throws where nobody can tell. */
export interface RateCounter {
  count(key: string, rate: Rate): Promise<Counted>
}

/** Requests a minute; 0: as many as come. */
export interface RateSettings {
  readonly perPrincipal: number
  /** Of those that name nobody. */
  readonly perAddress: number
}
