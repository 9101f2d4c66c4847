import { problemOf } from '../api/client.ts'
import type { Problem } from '../api/types.ts'

/** What was asked of the daemon: nothing yet, an answer, or its refusal. What there was stays while it is asked again. */
export class Loaded<T> {
  value = $state.raw<T | undefined>()
  refused = $state.raw<Problem | undefined>()
  busy = $state(false)
  #asked = 0

  /** Of two questions the later one's answer counts. Gives it; undefined where it was refused, or another was asked meanwhile. */
  async ask(question: () => Promise<T>): Promise<T | undefined> {
    this.#asked += 1
    const mine = this.#asked
    this.busy = true
    try {
      const value = await question()
      if (mine !== this.#asked) return undefined
      this.value = value
      this.refused = undefined
      return value
    } catch (error) {
      const problem = problemOf(error)
      if (mine === this.#asked) this.refused = problem
      return undefined
    } finally {
      if (mine === this.#asked) this.busy = false
    }
  }
}
