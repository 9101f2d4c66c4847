import type { Logger } from '../../lib/logger.ts'

/** Runs questions whose answers only save work: one that Redis can't answer is logged as `message` and answered by `none`. */
export function createHints(logger: Logger, message: string): <T>(task: () => Promise<T>, none: T) => Promise<T> {
  return async (task, none) => {
    try {
      return await task()
    } catch (error) {
      logger.debug({ err: error }, message)
      return none
    }
  }
}
