import { isAppError } from '../../../src/lib/errors.ts'
import { waitFor } from '../wait-for.ts'

/** Repeats a call for as long as it says that Redis does not answer: on a busy machine that may take more than its 1.5 s. */
export async function untilServed<T>(task: () => Promise<T>): Promise<T> {
  const outcome = await waitFor('Redis to answer', async () => {
    try {
      return { value: await task() }
    } catch (error) {
      if (isAppError(error) && error.code === 'QUEUE_UNAVAILABLE') throw error
      return { error }
    }
  })
  if ('error' in outcome) throw outcome.error
  return outcome.value
}
