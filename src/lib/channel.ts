/** The channel between a process and a child of it, as either end has it. */
export interface Channel {
  readonly connected: boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
  off(event: 'message', listener: (message: unknown) => void): unknown
  once(event: 'exit', listener: () => void): unknown
  /** A child has it, this process itself where it is one. */
  send?(message: object, callback: (error: Error | null) => void): boolean
}

interface Question {
  readonly layerdAsks: string
  readonly id: number
}

interface Answer {
  readonly layerdTells: string
  readonly id: number
  readonly said: unknown
}

let questions = 0

/**
 * Asks the process at the other end. Undefined where it says nothing within `withinMs`, is gone, or says that. `topic` stands
 * for the type of what is said: both ends are of one version.
 */
export function ask<T>(channel: Channel, topic: string, withinMs: number): Promise<T | undefined> {
  const id = (questions += 1)
  return new Promise((resolve) => {
    const onMessage = (message: unknown): void => {
      const { layerdTells, id: of, said } = (message ?? {}) as Partial<Answer>
      if (layerdTells === topic && of === id) done(said as T)
    }
    const done = (said: T | undefined): void => {
      clearTimeout(timer)
      channel.off('message', onMessage)
      resolve(said)
    }
    const timer = setTimeout(() => done(undefined), withinMs)
    channel.on('message', onMessage)
    const question: Question = { layerdAsks: topic, id }
    if (channel.connected && channel.send) channel.send(question, (error) => error && done(undefined))
    else done(undefined)
  })
}

/** Answers what the other end asks about `topic`, for as long as there is one. */
export function answer<T>(channel: Channel, topic: string, find: () => Promise<T>): void {
  channel.on('message', (message) => {
    const { layerdAsks, id } = (message ?? {}) as Partial<Question>
    if (layerdAsks !== topic || id === undefined) return
    // Who asked may have gone: without a callback that would be an error of the process.
    const tell = (said: T) => channel.send?.({ layerdTells: topic, id, said } satisfies Answer, () => undefined)
    find().then(tell, () => undefined)
  })
}
