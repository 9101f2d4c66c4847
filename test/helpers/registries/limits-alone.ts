import type { RegistryLimits, SharedLimits } from '../../../src/content/limits/registry-limits.ts'

/** Limits of all registries, as a process knows them that can ask nobody. */
export function limitsAlone(limits: Partial<RegistryLimits>): SharedLimits {
  const none = async () => undefined
  const all = { jobs: null, concurrency: null, requestsPerSecond: null, bytesPerSecond: null, ...limits }
  return {
    limitsOf: () => all,
    turns: none,
    bytes: none,
    places: none,
    refused: none,
    pace: none,
    listen: () => undefined,
  }
}
