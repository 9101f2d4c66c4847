import { AppError } from '../../../lib/errors.ts'
import { toldHost } from '../../errors/errors.ts'
import type { WaitCause } from '../pace/wait-cause.ts'
import type { Waiting } from '../pace/waiting-line.ts'
import { callFacts, type LocatedPassage } from './passage.ts'

type Waiter = Pick<LocatedPassage, 'sender' | 'request' | 'target'>

/** Tells who watches the job until when it waits and for what, and counts as no time in which nothing got done. */
export function waitOf(passage: Waiter, refusals: number): Waiting {
  const { sender, request } = passage
  const { clock } = sender.context
  let since: number | undefined
  const onWait = (until: number | undefined, cause: WaitCause): void => {
    if (until === undefined) {
      sender.budget?.excuse(clock.now() - (since ?? clock.now()))
      since = undefined
      sender.onWait?.(passage, undefined)
    } else {
      since ??= clock.now()
      sender.onWait?.(passage, { error: waiting(passage, cause), attempt: refusals + 1, retryAt: until })
    }
  }
  return { signal: request.signal, onWait }
}

function waiting(passage: Waiter, cause: WaitCause): AppError {
  const facts = callFacts(passage, passage.target)
  return new AppError('REGISTRY_THROTTLED', cause(toldHost(facts)), { op: facts.op })
}
