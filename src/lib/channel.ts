/** The channel between a process and a child of it, as either end has it. */
export interface Channel {
  readonly connected: boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
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

type Open = Map<number, { topic: string; done: (said: unknown) => void }>

/** Of each channel: one listener, however many questions are open. */
const open = new WeakMap<Channel, Open>()

function openOn(channel: Channel): Open {
  const known = open.get(channel)
  if (known) return known
  const asked: Open = new Map()
  open.set(channel, asked)
  channel.on('message', (message) => {
    const { layerdTells, id, said } = (message ?? {}) as Partial<Answer>
    const question = id === undefined ? undefined : asked.get(id)
    if (question?.topic === layerdTells) question?.done(said)
  })
  return asked
}

/**
 * Asks the process at the other end. Undefined where it says nothing within `withinMs`, is gone, or says that. `topic` stands
 * for the type of what is said: both ends are of one version.
 */
export function ask<T>(channel: Channel, topic: string, withinMs: number): Promise<T | undefined> {
  const id = (questions += 1)
  const asked = openOn(channel)
  return new Promise((resolve) => {
    const done = (said: unknown): void => {
      clearTimeout(timer)
      asked.delete(id)
      resolve(said as T | undefined)
    }
    const timer = setTimeout(() => done(undefined), withinMs)
    asked.set(id, { topic, done })
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
