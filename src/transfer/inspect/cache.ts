/** Keeps what was used last, up to a number of bytes in all. */
export interface WeighedCache<V> {
  get(key: string): V | undefined
  /** What is heavier than half of all that may be kept is not kept. */
  set(key: string, value: V, bytes: number): void
  readonly bytes: number
}

export function createWeighedCache<V>(maxBytes: number): WeighedCache<V> {
  const kept = new Map<string, { value: V; bytes: number }>()
  let total = 0
  const drop = (key: string): void => {
    total -= kept.get(key)?.bytes ?? 0
    kept.delete(key)
  }
  return {
    get bytes() {
      return total
    },
    get(key) {
      const found = kept.get(key)
      if (!found) return undefined
      kept.delete(key)
      kept.set(key, found)
      return found.value
    },
    set(key, value, bytes) {
      drop(key)
      if (bytes > maxBytes / 2) return
      kept.set(key, { value, bytes })
      total += bytes
      for (const oldest of kept.keys()) {
        if (total <= maxBytes) return
        drop(oldest)
      }
    },
  }
}
