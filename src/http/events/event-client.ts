import type { ServerResponse } from 'node:http'
import type { Framing, SharedMessage } from './sse.ts'

/** Events held for a reader that is behind, and their bytes; past these it is cut off and comes back with its Last-Event-ID. */
const MAX_HELD = 1000
const MAX_HELD_BYTES = 8 * 1024 * 1024

/** Reconnect times given to clients, spread so that all of them don't come at one moment. */
const RETRY_MS = { from: 2000, to: 6000 }
const RETURN_MS = { from: 1000, to: 10_000 }

const LAST_BYTES_MS = 1000

export interface EventClientOptions {
  response: ServerResponse
  framing: Framing
  /** A reader that takes nothing for so long is gone, whatever its socket says. Default 30 s. */
  stuckMs?: number
}

/**
 * One watcher's connection. Memory is bounded: while the socket does not drain, events are held by reference, and of the
 * progress only the newest with what changed since. Never throws; a closed connection swallows what is sent.
 */
export class EventClient {
  readonly framing: Framing
  readonly #response: ServerResponse
  readonly #stuckMs: number
  #held: SharedMessage[] = []
  #heldBytes = 0
  #stuck: NodeJS.Timeout | undefined
  #ending = false
  #drained: Array<() => void> = []

  constructor({ response, framing, stuckMs = 30_000 }: EventClientOptions) {
    this.#response = response
    this.framing = framing
    this.#stuckMs = stuckMs
    response.on('drain', () => this.#drain())
    response.on('close', () => this.#release())
    // A reset shows up as 'close', too; without a listener the error would end the process.
    response.on('error', () => response.destroy())
  }

  get closed(): boolean {
    return this.#response.closed || this.#response.destroyed
  }

  onClose(listener: () => void): void {
    if (this.closed) listener()
    else this.#response.once('close', listener)
  }

  /** The first bytes at once: proxies and people see that the stream is there. */
  open(): void {
    this.#response.flushHeaders()
    const opening = this.framing.opening(jitter(RETRY_MS))
    if (opening !== '') this.#write(opening)
  }

  send(frame: SharedMessage): void {
    if (this.closed || this.#ending) return
    if (this.#stuck === undefined) this.#write(frame.bytes(this.framing))
    else this.#hold(frame)
  }

  /** Not an event: left out while the reader is behind. */
  sendHeartbeat(bytes: string): void {
    if (this.#stuck === undefined && !this.#ending && !this.closed) this.#write(bytes)
  }

  /** Resolves when the reader has caught up or is gone. */
  drained(): Promise<void> {
    if (this.#stuck === undefined || this.closed) return Promise.resolve()
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  /** Ends the stream after what is held and `last`. */
  end(last = ''): void {
    if (this.#ending || this.closed) return
    this.#ending = true
    if (this.#stuck === undefined) this.#response.end(last)
    else void this.drained().then(() => this.#response.end(last))
  }

  /** Ends the stream though there is more to come; the client returns after a time of its own. */
  endForNow(): void {
    this.end(this.framing.goodbye(jitter(RETURN_MS)))
  }

  /** The same with little time for what is held: whoever reads has no right to more, or layerd shuts down. */
  sendAway(): void {
    this.endForNow()
    setTimeout(() => this.destroy(), LAST_BYTES_MS).unref()
  }

  destroy(): void {
    this.#response.destroy()
  }

  #write(bytes: Buffer | string): void {
    if (this.#response.write(bytes)) return
    this.#stuck = setTimeout(() => this.destroy(), this.#stuckMs)
  }

  #hold(frame: SharedMessage): void {
    for (const [at, held] of this.#held.entries()) {
      const both = frame.over(held)
      if (both === undefined) continue
      this.#held.splice(at, 1)
      this.#heldBytes -= held.size
      return this.#keep(both)
    }
    this.#keep(frame)
  }

  /** A single one may be larger than all that is held else: a job's plan may be. */
  #keep(frame: SharedMessage): void {
    this.#held.push(frame)
    this.#heldBytes += frame.size
    const { length } = this.#held
    if (length > MAX_HELD || (length > 1 && this.#heldBytes > MAX_HELD_BYTES)) this.destroy()
  }

  #drain(): void {
    clearTimeout(this.#stuck)
    this.#stuck = undefined
    const held = this.#held
    this.#held = []
    for (const [at, frame] of held.entries()) {
      this.#heldBytes -= frame.size
      this.#write(frame.bytes(this.framing))
      if (this.#stuck === undefined) continue
      this.#held = held.slice(at + 1)
      return
    }
    this.#release()
  }

  #release(): void {
    if (this.closed) {
      clearTimeout(this.#stuck)
      this.#held = []
      this.#heldBytes = 0
    }
    const waiting = this.#drained
    this.#drained = []
    for (const resolve of waiting) resolve()
  }
}

function jitter({ from, to }: { from: number; to: number }): number {
  return Math.round(from + Math.random() * (to - from))
}
