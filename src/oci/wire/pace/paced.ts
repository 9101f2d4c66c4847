import type { Clock } from '../../../lib/clock.ts'
import type { HostPace, PacedAnswer } from './host-pace.ts'
import type { Waiting } from './waiting-line.ts'

/** So long a request is refused for now before that is told. Source: oci-client.md Y2, the cap of a job. */
export const PATIENCE_MS = 600_000

/** `subject`: what is sent, which the functions get, so that a request need not make any. */
export interface PacedCall<S, T extends PacedAnswer> {
  clock: Clock
  subject: S
  send(subject: S): Promise<T>
  /** May go out again after a 429, which says that nothing was done. A 503 does not say so. */
  repeatable: boolean
  /** How long it is refused, from the first time on, before that is its answer. */
  patienceMs: number
  /** Who waits for its next turn, after so many refusals. */
  waiting(subject: S, refusals: number): Waiting
  /** Throws the body of a refusal away. */
  discard(answer: T): Promise<void>
}

/**
 * Sends when the host lets it, and again for as long as the answer is 429: a refusal for now is no failure, and costs none of
 * the tries that failures have. Resolves with a 429 where it is not repeatable, or where that would take too long.
 */
export async function paced<S, T extends PacedAnswer>(pace: HostPace, call: PacedCall<S, T>): Promise<T> {
  const { clock, subject } = call
  let refusedAt: number | undefined
  for (let refusals = 0; ; refusals += 1) {
    if (!pace.open) await pace.turn(call.waiting(subject, refusals))
    const sent = pace.sent()
    const answer = await call.send(subject)
    const refusal = pace.answered(sent, answer)
    if (refusal === undefined || answer.status !== 429 || !call.repeatable || refusal.tooLong) return answer
    refusedAt ??= clock.now()
    if (clock.now() + refusal.pauseMs - refusedAt > call.patienceMs) return answer
    await call.discard(answer)
  }
}
