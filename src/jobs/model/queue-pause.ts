/** That no job of a host is started. */
export interface QueuePause {
  /** Name of who paused it. */
  readonly by: string
  /** By Redis' clock, ms since 1970. */
  readonly sinceMs: number
  readonly reason: string | null
}

/** As it lies in Redis. */
export function parseQueuePause(text: string | null | undefined): QueuePause | undefined {
  return text ? (JSON.parse(text) as QueuePause) : undefined
}

/** Why a job of the host waits. */
export function pauseText(host: string, { by, sinceMs, reason }: QueuePause): string {
  const since = new Date(sinceMs).toISOString().replace('T', ' ').slice(0, 19)
  return `the queue of ${host} is paused by ${by} since ${since} UTC${reason === null ? '' : `: ${reason}`}`
}
