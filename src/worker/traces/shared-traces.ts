import type { WireTrace } from '../../content/wire-request.ts'

/** What callers of a registry share goes into the traces of all runs at that registry. */
export interface SharedTraces {
  /** For the registry connections of the process. */
  readonly trace: WireTrace
  /** `registry` as the job names it. Until it is disposed. */
  join(registry: string, trace: WireTrace): Disposable
}

export function createSharedTraces(): SharedTraces {
  const runs = new Map<string, Set<WireTrace>>()
  const each = (registry: string, tell: (trace: WireTrace) => void): void => runs.get(registry)?.forEach(tell)
  return {
    trace: {
      began: (request) => each(request.registry, (trace) => trace.began(request)),
      ended: (request) => each(request.registry, (trace) => trace.ended(request)),
    },
    join(registry, trace) {
      const all = runs.get(registry) ?? new Set()
      runs.set(registry, all.add(trace))
      return {
        [Symbol.dispose]() {
          all.delete(trace)
          if (all.size === 0) runs.delete(registry)
        },
      }
    },
  }
}
