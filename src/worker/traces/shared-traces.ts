import type { RecordedRequest, WireTrace } from '../../content/wire-request.ts'

/** What callers of a registry share goes into the traces of all runs at that registry, but for what is about repositories of others. */
export interface SharedTraces {
  /** For the registry connections of the process. */
  readonly trace: WireTrace
  /** `registry` as the job names it; `knows`: whether a repository is the run's business. Until it is disposed. */
  join(registry: string, trace: WireTrace, knows: (place: Place) => boolean): Disposable
}

interface Place {
  readonly registry: string
  readonly repository: string
}

export function createSharedTraces(): SharedTraces {
  const runs = new Map<string, Map<WireTrace, (place: Place) => boolean>>()
  const each = ({ registry, repositories = [] }: RecordedRequest, tell: (trace: WireTrace) => void): void =>
    runs.get(registry)?.forEach((knows, trace) => {
      if (repositories.every((repository) => knows({ registry, repository }))) tell(trace)
    })
  return {
    trace: {
      began: (request) => each(request, (trace) => trace.began(request)),
      ended: (request) => each(request, (trace) => trace.ended(request)),
    },
    join(registry, trace, knows) {
      const all = runs.get(registry) ?? new Map<WireTrace, typeof knows>()
      runs.set(registry, all.set(trace, knows))
      return {
        [Symbol.dispose]() {
          all.delete(trace)
          if (all.size === 0) runs.delete(registry)
        },
      }
    },
  }
}
