/** Callers that ask for the same key while a call is under way share its outcome. */
export interface SingleFlight<T> {
  run(key: string, task: () => Promise<T>): Promise<T>
  isFlying(key: string): boolean
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flying = new Map<string, Promise<T>>()
  return {
    isFlying: (key) => flying.has(key),
    run(key, task) {
      const known = flying.get(key)
      if (known) return known
      const flight = task().finally(() => flying.delete(key))
      flying.set(key, flight)
      return flight
    },
  }
}
