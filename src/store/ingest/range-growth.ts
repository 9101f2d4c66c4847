const MIB = 1024 * 1024

export interface RangeTuning {
  /** A blob of which less is missing comes over one stream. */
  minBytes: number
  /** Streams of one blob at once. */
  streams: number
  /** How long a number of streams is watched before the next is tried. */
  lookMs: number
  /** A rate that is not worth the processor time of reading bytes back to hash them. */
  enoughPerSecond: number
  /** What a stream asks for at a time. */
  leastBytes: number
  mostBytes: number
}

export const RANGE_TUNING: RangeTuning = {
  minBytes: 256 * MIB,
  streams: 4,
  lookMs: 2000,
  enoughPerSecond: 200 * MIB,
  leastBytes: 16 * MIB,
  mostBytes: 256 * MIB,
}

/** How long a request should take: each begins with round trips. */
const REQUEST_SECONDS = 10
/** What one more stream must bring to be kept, as a part of what there was. */
const GAIN = 1.1

/** How many streams a blob gets: begins with one, and adds another as long as that made it faster. */
export class RangeGrowth {
  readonly #tuning: RangeTuning
  /** The number being watched, since when, and at how many bytes that began. */
  #watched = { streams: 0, since: 0, bytes: 0 }
  #rate = 0
  /** The number that is to show whether it is faster, and what the one before brought. */
  #trial = { streams: 0, before: 0 }
  #most: number

  constructor(tuning: RangeTuning) {
    this.#tuning = tuning
    this.#most = tuning.streams
  }

  /** As many as have proved useful, or are yet to be tried. */
  get most(): number {
    return this.#most
  }

  /** Bytes of a stream's next request, of those that are missing. */
  requestBytes(missing: number): number {
    const { leastBytes, mostBytes } = this.#tuning
    const each = this.#rate / Math.max(1, this.#watched.streams)
    const wanted = Math.min(each * REQUEST_SECONDS, missing / this.#most)
    return Math.round(Math.min(mostBytes, Math.max(leastBytes, wanted)))
  }

  /** No more than one from now on. */
  stop(): void {
    this.#most = 1
  }

  /** Told of each step: `bytes` so far over `streams`. True: it is time for one more. */
  isTime(now: number, bytes: number, streams: number): boolean {
    const watched = this.#watched
    if (streams !== watched.streams) {
      this.#watched = { streams, since: now, bytes }
      return false
    }
    if (now - watched.since < this.#tuning.lookMs) return false
    this.#rate = ((bytes - watched.bytes) * 1000) / (now - watched.since)
    this.#watched = { streams, since: now, bytes }
    if (streams === this.#trial.streams && this.#rate < this.#trial.before * GAIN) this.#most = streams - 1
    // Judged once: what is slower later has other reasons.
    this.#trial = { streams: streams + 1, before: this.#rate }
    return streams < this.#most && this.#rate < this.#tuning.enoughPerSecond
  }
}
