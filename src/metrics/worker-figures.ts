import type { ChildProcess } from 'node:child_process'
import { withoutGauges } from './aggregate.ts'
import type { MetricJson } from './process-metrics.ts'

/** A worker that does not answer by then is left out, with what it last said. */
const ANSWER_MS = 2000

interface Question {
  readonly layerdMetrics: 'ask'
  readonly id: number
}

interface Answer {
  readonly layerdMetrics: 'tell'
  readonly id: number
  readonly metrics: MetricJson[]
}

/** A process whose figures can be had over the channel between it and its supervisor. */
export type Channel = Pick<ChildProcess, 'on' | 'off' | 'once' | 'send' | 'connected'>

/** The supervisor's side: the figures of all its workers, of those that have ended too. */
export class WorkerFigures {
  readonly #last = new Map<Channel, MetricJson[]>()
  readonly #ended: MetricJson[][] = []
  #questions = 0

  add(worker: Channel): void {
    this.#last.set(worker, [])
    worker.once('exit', () => {
      const rest = withoutGauges(this.#last.get(worker) ?? [])
      this.#last.delete(worker)
      if (rest.length > 0) this.#ended.push(rest)
    })
  }

  async collect(): Promise<MetricJson[][]> {
    const told = await Promise.all([...this.#last.keys()].map((worker) => this.#ask(worker)))
    return [...told, ...this.#ended]
  }

  #ask(worker: Channel): Promise<MetricJson[]> {
    const id = (this.#questions += 1)
    return new Promise((resolve) => {
      const onMessage = (message: unknown): void => {
        const { layerdMetrics, id: of, metrics } = message as Partial<Answer>
        if (layerdMetrics !== 'tell' || of !== id || metrics === undefined) return
        if (this.#last.has(worker)) this.#last.set(worker, metrics)
        done()
      }
      const done = (): void => {
        clearTimeout(timer)
        worker.off('message', onMessage)
        resolve(this.#last.get(worker) ?? [])
      }
      const timer = setTimeout(done, ANSWER_MS)
      worker.on('message', onMessage)
      const question: Question = { layerdMetrics: 'ask', id }
      if (worker.connected) worker.send(question, (error) => error && done())
      else done()
    })
  }
}

/** The worker's side: answers its supervisor. `channel`: this process, where it has one. */
export function answerFigures(
  channel: { on(event: 'message', listener: (message: unknown) => void): unknown; send?(message: unknown): unknown },
  figures: () => Promise<MetricJson[]>,
): void {
  channel.on('message', (message) => {
    const { layerdMetrics, id } = (message ?? {}) as Partial<Question>
    if (layerdMetrics !== 'ask' || id === undefined) return
    void figures().then((metrics) => channel.send?.({ layerdMetrics: 'tell', id, metrics } satisfies Answer))
  })
}
