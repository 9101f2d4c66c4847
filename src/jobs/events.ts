import type { JobEvent } from './definitions.ts'

/** An event with the id of its Redis stream entry. */
export interface LoggedEvent {
  id: string
  event: JobEvent
}

/** The read side of the jobs' event streams; one subscriber connection a process. */
export interface JobEventReader {
  /**
   * Calls `onEvent` for each event of the job that is published from now on, and `onGap` when the subscription broke and
   * came back (replay from the last id then). Resolves once subscribed; call the result to stop.
   */
  subscribe(jobId: string, onEvent: (logged: LoggedEvent) => void, onGap: () => void): Promise<() => Promise<void>>
  /** Events after `afterId` (exclusive), oldest first, at most `limit`. */
  replay(jobId: string, afterId: string, limit: number): Promise<LoggedEvent[]>
  /** First and last id still kept, or undefined when the stream is empty or gone. */
  bounds(jobId: string): Promise<{ first: string; last: string } | undefined>
  /**
   * The job as it is now with the id of the last event it contains, read in one step: what is published with a higher id
   * goes on from it. Active and failed transfers only, at most 100. Undefined when there is no such job.
   */
  snapshot(jobId: string): Promise<LoggedEvent | undefined>
  close(): Promise<void>
}
