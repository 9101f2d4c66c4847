import { registryId } from '../content/reference.ts'
import type { Job, JobState, Progress } from '../jobs/model/definitions.ts'
import { LOCAL_QUEUE } from '../jobs/model/requests.ts'
import type { EngineEvent } from '../transfer/events.ts'

/** Looks on while a run works; must not throw. */
export interface RunWatch {
  event(event: EngineEvent): void
  /** So many bytes of an answer of a registry have come. */
  body?(bytes: number): void
  /** The job's progress so far, whenever it is reported, and at the end. */
  progress(progress: Progress): void
  /** The state that the run leaves the job in, "fenced" when it is another run's, and the code of its error. */
  ended(state: JobState | 'fenced', code?: string): void
}

export interface RunObserver {
  /** Runs the work of a run, so that what it does can be told apart from all else. Default: just runs it. */
  readonly around?: <T>(job: Job, work: () => Promise<T>) => Promise<T>
  /** `host`: the registry whose queue the job was in. */
  began(job: Job, host: string): RunWatch
}

export const NOBODY: RunObserver = {
  began: () => ({ event: () => undefined, progress: () => undefined, ended: () => undefined }),
}

/** Both look on. */
export function bothObserve(one: RunObserver, other: RunObserver): RunObserver {
  const around: Around = async (job, work) => await aroundOf(one)(job, () => aroundOf(other)(job, work))
  return {
    around,
    began(job, host) {
      const watches = [one.began(job, host), other.began(job, host)]
      return {
        event: (event) => watches.forEach((watch) => watch.event(event)),
        body: (bytes) => watches.forEach((watch) => watch.body?.(bytes)),
        progress: (progress) => watches.forEach((watch) => watch.progress(progress)),
        ended: (state, code) => watches.forEach((watch) => watch.ended(state, code)),
      }
    },
  }
}

type Around = NonNullable<RunObserver['around']>

function aroundOf({ around = async (_job, work) => await work() }: RunObserver): Around {
  return around
}

/** The registry that a job is about: where a pull comes from, else where it goes. */
export function registryOf({ kind, source, destination }: Pick<Job, 'kind' | 'source' | 'destination'>): string {
  const place = kind === 'pull' ? source : (destination ?? source)
  if (kind === 'apply' || (kind === 'verify' && !place.startsWith('oci://'))) return LOCAL_QUEUE
  return registryId(place.replace(/^oci:\/\//, '').split('/')[0] ?? '')
}
