import { OWN_BELOW_BYTES } from './endpoints.ts'

const SLOT_BYTES = 1024 * 1024
/**
 * The chunk that the consumer works on and the two before it stay (ByteStream's promise), one is being filled, and one
 * is free beyond it: TLS hands out what it has decrypted even after reading was paused.
 */
const SLOTS = 5
const KEPT = 3
/** What has arrived is handed on after this though its slot is not full, so that a slow link shows its progress. */
const FLUSH_MS = 250
/** Takes what comes after the last byte; nobody reads it. */
const SCRAP = Buffer.alloc(OWN_BELOW_BYTES)

export interface ReadRingOptions {
  /** Bytes to come. */
  size: number
  /** The consumer has made room: reading may go on after a `received` that said no. */
  onRoom: () => void
  /** The consumer wants no more before the end. */
  onReturn: () => void
}

/**
 * Takes what a socket reads, in place, and hands it on in chunks of 1 MiB as ByteStream promises: no buffer is allocated
 * for a read, and none is copied. Memory: 5 MiB, or the size where that is less. One consumer.
 */
export class ReadRing implements AsyncIterable<Buffer> {
  readonly #options: ReadRingOptions
  readonly #slots: Buffer[] = []
  /** By slot: how many chunks had been asked for when its newest one was handed on. */
  readonly #turns: number[] = []
  readonly #queue: { chunk: Buffer; slot: number | undefined }[] = []
  #slot = 0
  /** Of the slot being filled: what was handed on, and what is filled. */
  #start = 0
  #end = 0
  #left: number
  #asked = 0
  #paused = false
  #failure: { error: unknown } | undefined
  #waiting: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: ReadRingOptions) {
    this.#options = options
    this.#left = options.size
  }

  /** Bytes still to come. */
  get left(): number {
    return this.#left
  }

  /** Whether reading waits for the consumer. */
  get paused(): boolean {
    return this.#paused
  }

  /** Where the next read may write; never empty. */
  get space(): Buffer {
    return this.#left === 0 ? SCRAP : this.#current().subarray(this.#end)
  }

  /** The first bytes of `space` were written. False: no more may come for now, or at all. */
  received(bytes: number): boolean {
    const taken = Math.min(bytes, this.#left)
    this.#end += taken
    this.#left -= taken
    if (this.#left === 0) this.#flush()
    else if (this.#end === this.#current().length) this.#nextSlot()
    else if (this.#waiting) this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS)
    return this.#left > 0 && !this.#paused
  }

  /** The same for bytes that lie elsewhere. */
  copy(bytes: Buffer): boolean {
    for (let taken = 0; taken < bytes.length && this.#left > 0; ) {
      const copied = bytes.copy(this.space, 0, taken)
      taken += copied
      this.received(copied)
    }
    return this.#left > 0 && !this.#paused
  }

  /** Nothing more comes; what has arrived is handed on before. */
  fail(error: unknown): void {
    if (this.#left === 0 || this.#failure) return
    this.#failure = { error }
    this.#flush()
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        clearTimeout(this.#timer)
        this.#options.onReturn()
        return { done: true, value: undefined }
      },
    }
  }

  async #next(): Promise<IteratorResult<Buffer, undefined>> {
    this.#asked += 1
    if (this.#paused && this.#isFree(this.#slot + 1)) {
      this.#paused = false
      this.#options.onRoom()
    }
    while (this.#queue.length === 0 && this.#left > 0 && !this.#failure) {
      if (this.#end > this.#start) this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS)
      await new Promise<void>((resolve) => (this.#waiting = resolve))
      this.#waiting = undefined
    }
    const ready = this.#queue.shift()
    if (ready) {
      if (ready.slot !== undefined) this.#turns[ready.slot] = this.#asked
      return { done: false, value: ready.chunk }
    }
    if (this.#failure) throw this.#failure.error
    return { done: true, value: undefined }
  }

  #current(): Buffer {
    return (this.#slots[this.#slot] ??= Buffer.allocUnsafeSlow(Math.min(SLOT_BYTES, this.#options.size)))
  }

  #nextSlot(): void {
    this.#flush()
    this.#slot = (this.#slot + 1) % SLOTS
    this.#start = 0
    this.#end = 0
    this.#paused = !this.#isFree(this.#slot + 1)
  }

  #isFree(next: number): boolean {
    const slot = next % SLOTS
    if (this.#queue.some((waiting) => waiting.slot === slot)) return false
    return this.#asked - (this.#turns[slot] ?? Number.NEGATIVE_INFINITY) >= KEPT
  }

  /** Puts what has arrived into the queue. A small piece becomes the consumer's own. */
  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#end > this.#start) {
      const bytes = this.#current().subarray(this.#start, this.#end)
      this.#start = this.#end
      const own = bytes.length < OWN_BELOW_BYTES
      this.#queue.push(own ? { chunk: Buffer.from(bytes), slot: undefined } : { chunk: bytes, slot: this.#slot })
    }
    this.#waiting?.()
  }
}
