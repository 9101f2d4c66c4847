import { Loaded } from './loaded.svelte.ts'

/** What no stream tells: asked again every few seconds while somebody looks. */
export class Polled<T> extends Loaded<T> {
  readonly #question: () => Promise<T>
  readonly #everyMs: number

  constructor(question: () => Promise<T>, everyMs = 5000) {
    super()
    this.#question = question
    this.#everyMs = everyMs
  }

  again(): Promise<T | undefined> {
    return this.ask(this.#question)
  }

  /** Gives what ends it. */
  start(): () => void {
    void this.again()
    const timer = setInterval(() => {
      if (!document.hidden && !this.busy) void this.again()
    }, this.#everyMs)
    return () => clearInterval(timer)
  }
}
