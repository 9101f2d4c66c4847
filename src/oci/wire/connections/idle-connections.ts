import type { SmallConnection } from './small-connection.ts'

/** Shorter than what servers and the boxes before them allow. */
const KEEP_MS = 4000
/** What the far end's word is cut by: its close may be on its way. */
const KEEP_MARGIN_MS = 1000
const SWEEP_MS = 1000

/** Connections that wait for their next request, by origin; the one used last is used first. */
export class IdleConnections {
  readonly #byOrigin = new Map<string, SmallConnection[]>()
  #sweeping: NodeJS.Timeout | undefined

  take(origin: string): SmallConnection | undefined {
    const waiting = this.#byOrigin.get(origin)
    for (let kept = waiting?.pop(); kept; kept = waiting?.pop()) {
      if (isFresh(kept)) return kept
      kept.close()
    }
    return undefined
  }

  keep(origin: string, connection: SmallConnection): void {
    connection.waited = true
    const others = this.#byOrigin.get(origin)
    if (others) others.push(connection)
    else this.#byOrigin.set(origin, [connection])
    this.#sweeping ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  close(): void {
    for (const connection of [...this.#byOrigin.values()].flat()) connection.close()
    this.clear()
  }

  clear(): void {
    clearInterval(this.#sweeping)
    this.#byOrigin.clear()
  }

  #sweep(): void {
    for (const [origin, connections] of this.#byOrigin) {
      const fresh = connections.filter((connection) => isFresh(connection))
      for (const connection of connections) if (!fresh.includes(connection)) connection.close()
      if (fresh.length > 0) this.#byOrigin.set(origin, fresh)
      else this.#byOrigin.delete(origin)
    }
    if (this.#byOrigin.size > 0) return
    clearInterval(this.#sweeping)
    this.#sweeping = undefined
  }
}

function isFresh({ ready, idleSince, keepMs }: SmallConnection): boolean {
  return ready && performance.now() - idleSince <= Math.min(KEEP_MS, keepMs - KEEP_MARGIN_MS)
}
