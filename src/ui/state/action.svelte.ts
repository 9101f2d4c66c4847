import { problemOf } from '../api/client.ts'
import type { Problem } from '../api/types.ts'

/** What a person asks the daemon to do: once, however often it is clicked, and with what was refused of it until it is asked for again. */
export class Action {
  busy = $state(false)
  refused = $state.raw<Problem | undefined>()

  /** Gives what came of it; undefined where it was refused, or goes on already. */
  async run<T>(what: () => Promise<T>): Promise<T | undefined> {
    if (this.busy) return undefined
    this.busy = true
    this.refused = undefined
    try {
      return await what()
    } catch (error) {
      this.refused = problemOf(error)
      return undefined
    } finally {
      this.busy = false
    }
  }
}
