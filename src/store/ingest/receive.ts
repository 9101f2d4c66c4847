import type { BlobOpener, ByteStream, Place, PushOptions } from '../../content/endpoints.ts'
import { CHECK_DISK_BYTES } from '../../content/room.ts'
import { RangeIgnored } from '../../content/ranges.ts'
import { childController, throwIfAborted } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import type { PartialFile } from './partial-file.ts'
import { RangeGrowth, type RangeTuning } from './range-growth.ts'
import { type Claim, rangeBytes, RangePlan } from './range-plan.ts'

/** A killed process loses at most this much of each range, and what had not been written. */
const REMEMBER_BYTES = 8 * 1024 * 1024

export interface Reception {
  open: BlobOpener
  /** Of the whole blob. */
  size: number
  tuning: RangeTuning
  /** IngestPlace. */
  checkDisk: () => Promise<void>
  options: PushOptions
}

/**
 * Brings a partial file's missing bytes: over one stream, and over more where the source takes ranges, the caller has
 * spare places, and each made it faster (docs/adr/0013). Rejects with the first error after every stream has stopped; what
 * has arrived is written then.
 */
export async function receive(partial: PartialFile, reception: Reception): Promise<void> {
  const receiver = new Receiver(partial, reception)
  await receiver.run()
}

class Receiver {
  readonly #partial: PartialFile
  readonly #reception: Reception
  readonly #plan: RangePlan
  readonly #growth: RangeGrowth
  readonly #stop: AbortController & Disposable
  readonly #streams = new Set<Promise<void>>()
  /** What a stream took on while it was alone: the whole of a hole. */
  #long: Claim | undefined
  #bytes: number
  /** The disk is looked at from so many bytes on. */
  #checkDiskAt: number
  /** Whether bytes are still hashed as they arrive. */
  #inOrder = true
  /** Whether the file may have holes: what is written is remembered then. */
  #holes: boolean
  #rangeIgnored = false
  #waiting = false
  #failure: { error: unknown } | undefined
  #hashing: Promise<void> = Promise.resolve()

  constructor(partial: PartialFile, reception: Reception) {
    const { there, offset } = partial
    this.#partial = partial
    this.#reception = reception
    this.#plan = new RangePlan(reception.size, there)
    this.#growth = new RangeGrowth(reception.tuning)
    this.#stop = childController(reception.options.signal)
    this.#bytes = rangeBytes(there)
    this.#checkDiskAt = this.#bytes + CHECK_DISK_BYTES
    this.#holes = this.#bytes > offset
  }

  async run(): Promise<void> {
    const { options, size } = this.#reception
    using _stop = this.#stop
    options.onEvent?.({ type: 'started', offset: this.#bytes })
    // A further stream may leave its bytes when the first has found none to bring any more.
    do {
      this.#begin()
      while (this.#streams.size > 0) await Promise.all(this.#streams)
    } while (!this.#failure && this.#plan.prefix < size)
    await this.#hashing
    if (this.#failure) throw this.#failure.error
    options.onEvent?.({ type: 'verifying' })
    await this.#partial.hashTo(size)
    await this.#partial.finish()
  }

  /** One more stream; the first has the caller's own place. */
  #begin(place?: Place): void {
    const stream = this.#stream(place)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        place?.[Symbol.dispose]()
        this.#streams.delete(stream)
      })
    this.#streams.add(stream)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#stop.abort(error)
  }

  async #stream(place: Place | undefined): Promise<void> {
    // The first piece of work of a stream must not run before the stream counts.
    await Promise.resolve()
    for (let claim = this.#next(place); claim; claim = this.#next(place)) {
      try {
        await this.#fetch(claim, place)
      } catch (error) {
        if (!(error instanceof RangeIgnored)) throw error
        this.#goOnWithOne()
        if (place) return
      }
    }
  }

  /** What a stream brings next; one in a spare place ends where that is wanted, or has not made it faster. */
  #next(place: Place | undefined): Claim | undefined {
    if (place && (place.wanted || this.#streams.size > this.#growth.most)) return undefined
    const alone = this.#streams.size === 1 || this.#rangeIgnored
    const claim = this.#plan.claim(alone ? undefined : this.#growth.requestBytes(this.#missing))
    if (alone) this.#long = claim
    return claim
  }

  /** Who has begun with the most takes back what others were to bring. */
  #goOnWithOne(): void {
    this.#rangeIgnored = true
    this.#growth.stop()
    if (this.#long) this.#plan.lengthen(this.#long)
  }

  async #fetch(claim: Claim, place: Place | undefined): Promise<void> {
    const { size } = this.#reception
    const inOrder = await this.#comesInOrder(claim)
    // There the source is read to its end, and the hash in order finds out about bytes that come after.
    const toTheEnd = () => inOrder && claim.end === size
    const writer = inOrder ? this.#partial : this.#partial.writerAt(claim)
    let remembered = claim.start
    const remember = async (): Promise<void> => {
      await writer.settle()
      const written = { start: claim.start, end: claim.at }
      if (this.#holes && written.end > remembered) await this.#partial.remember(written)
      remembered = written.end
      this.#plan.add(written)
      this.#hashOn()
    }
    try {
      for await (const chunk of this.#chunks(claim, place)) {
        throwIfAborted(this.#stop.signal)
        await this.#checkDisk()
        const cut = !toTheEnd() && claim.at + chunk.length >= claim.end
        // From here on nothing more can be left to it: what is cut off is lost.
        if (cut) this.#settled(claim)
        const wanted = cut ? chunk.subarray(0, claim.end - claim.at) : chunk
        await writer.append(wanted)
        claim.at += wanted.length
        this.#tell(wanted.length)
        if (this.#holes && claim.at - remembered >= REMEMBER_BYTES) await remember()
        await this.#grow(remember)
        if (claim.at >= claim.end && !toTheEnd()) break
      }
    } finally {
      if (inOrder) this.#inOrder = false
      this.#settled(claim)
      // What has arrived stays for the next try, if the disk takes it.
      await (this.#stop.signal.aborted ? remember().catch(() => undefined) : remember())
      this.#plan.release(claim)
    }
    // The source has ended in good order: the missing bytes are told as such.
    if (claim.at < claim.end) await this.#partial.finish()
  }

  async #checkDisk(): Promise<void> {
    if (this.#bytes < this.#checkDiskAt) return
    this.#checkDiskAt = this.#bytes + CHECK_DISK_BYTES
    await this.#reception.checkDisk()
  }

  #settled(claim: Claim): void {
    if (this.#long === claim) this.#long = undefined
  }

  /** Whether bytes can be hashed as they arrive. Who is alone again has nothing before it but what is there. */
  async #comesInOrder({ start }: Claim): Promise<boolean> {
    if (this.#streams.size === 1 && !this.#inOrder) {
      await this.#hashing
      throwIfAborted(this.#stop.signal)
      this.#partial.appendOn()
      this.#inOrder = true
    }
    return this.#inOrder && start === this.#partial.offset
  }

  /**
   * What the source gives. Any failure of a further stream is as good as a range that is ignored: the first one finds out
   * whether the source gives nothing more. What the store throws is not caught here.
   */
  async *#chunks(claim: Claim, place: Place | undefined): ByteStream {
    try {
      yield* await this.#open(claim, place)
    } catch (error) {
      if (!place || this.#stop.signal.aborted) throw error
      throw new RangeIgnored('a further stream failed', error)
    }
  }

  #open(claim: Claim, place: Place | undefined): Promise<ByteStream> {
    const { open, size, options } = this.#reception
    return open({
      offset: claim.start,
      ...(this.#takesRanges && claim.end < size ? { end: claim.end } : {}),
      signal: this.#stop.signal,
      onRetry: (error, attempt, retryAt) => {
        // Refused, as where a registry takes so many at once: the first one need not wait for that.
        if (place && error.upstream?.status !== undefined) throw error
        this.#waiting = true
        options.onEvent?.({ type: 'retrying', error, attempt, retryAt })
      },
    })
  }

  #tell(wire: number): void {
    const { onEvent } = this.#reception.options
    if (this.#waiting) onEvent?.({ type: 'started', offset: this.#bytes })
    this.#waiting = false
    this.#bytes += wire
    onEvent?.({ type: 'bytes', offset: this.#bytes, wire })
  }

  get #missing(): number {
    return this.#reception.size - this.#bytes
  }

  get #takesRanges(): boolean {
    return this.#reception.options.spare !== undefined && !this.#rangeIgnored
  }

  /** Adds a stream when it is time and there is a place. Before the first hole it is remembered what is there. */
  async #grow(remember: () => Promise<void>): Promise<void> {
    const { tuning, options } = this.#reception
    if (!this.#takesRanges || this.#missing < tuning.minBytes) return
    if (!this.#growth.isTime(systemClock.now(), this.#bytes, this.#streams.size)) return
    const place = options.spare?.()
    if (!place) return
    if (!this.#holes) {
      this.#holes = true
      for (const range of this.#partial.there) await this.#partial.remember(range)
      await remember()
    }
    if (this.#long) this.#plan.shorten(this.#long, this.#growth.requestBytes(this.#missing))
    this.#begin(place)
  }

  /** Hashes what follows on what is hashed, behind the streams, so that the end need not wait for all of it. */
  #hashOn(): void {
    if (this.#inOrder) return
    this.#hashing = this.#hashing
      .then(() => this.#partial.hashTo(this.#plan.prefix))
      .catch((error: unknown) => this.#fail(error))
  }
}
