import type { MetricJson } from './process-metrics.ts'

const ANSWER_MS = 2000

interface Question {
  readonly layerdMetrics: 'ask'
  readonly id: number
}

interface Answer {
  readonly layerdMetrics: 'tell'
  readonly id: number
  /** Of each process that it speaks for. */
  readonly metrics: MetricJson[][]
}

/** A process whose figures can be had over the channel between it and its supervisor. */
export interface Channel {
  readonly connected: boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
  off(event: 'message', listener: (message: unknown) => void): unknown
  once(event: 'exit', listener: () => void): unknown
  /** A child has it, this process itself where it is one. */
  send?(message: object, callback: (error: Error | null) => void): boolean
}

/**
 * The side that asks: the supervisor its workers, of which those that have ended stay counted too, and the API its
 * supervisor.
 */
export class WorkerFigures {
  readonly #last = new Map<Channel, MetricJson[][]>()
  /** Of all that have ended, in one sum: workers that die again and again must not pile up. */
  #ended: MetricJson[] = []
  readonly #answerMs: number
  #questions = 0

  /** `answerMs`: who does not answer by then is taken with what it last said. Default 2 s. */
  constructor({ answerMs = ANSWER_MS }: { answerMs?: number } = {}) {
    this.#answerMs = answerMs
  }

  add(worker: Channel): void {
    this.#last.set(worker, [])
    worker.once('exit', () => {
      for (const metrics of this.#last.get(worker) ?? []) this.#ended = sum(this.#ended, withoutGauges(metrics))
      this.#last.delete(worker)
    })
  }

  async collect(): Promise<MetricJson[][]> {
    const told = await Promise.all([...this.#last.keys()].map((worker) => this.#ask(worker)))
    return [...told.flat(), this.#ended]
  }

  #ask(worker: Channel): Promise<MetricJson[][]> {
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
      const timer = setTimeout(done, this.#answerMs)
      worker.on('message', onMessage)
      const question: Question = { layerdMetrics: 'ask', id }
      if (worker.connected && worker.send) worker.send(question, (error) => error && done())
      else done()
    })
  }
}

/**
 * What is left of a process that has ended: counters go on from where it stopped, else their sum would fall and be taken for
 * a new beginning. Gauges were the process's own and go with it.
 */
function withoutGauges(metrics: readonly MetricJson[]): MetricJson[] {
  return metrics.filter(({ type }) => String(type) === 'counter' || String(type) === 'histogram')
}

function sum(kept: readonly MetricJson[], more: readonly MetricJson[]): MetricJson[] {
  const sums = new Map(kept.map((metric) => [metric.name, metric]))
  for (const metric of more) {
    const before = sums.get(metric.name)
    if (before === undefined) sums.set(metric.name, metric)
    else sums.set(metric.name, { ...metric, values: sumValues(before.values, metric.values) })
  }
  return [...sums.values()]
}

/** A histogram's values are told apart by name too: its buckets, sum and count. */
function sumValues(kept: MetricJson['values'], more: MetricJson['values']): MetricJson['values'] {
  const keyOf = (value: MetricJson['values'][number] & { metricName?: string }) =>
    JSON.stringify([value.metricName, value.labels])
  const sums = new Map(kept.map((value) => [keyOf(value), value]))
  for (const value of more) {
    const key = keyOf(value)
    sums.set(key, { ...value, value: value.value + (sums.get(key)?.value ?? 0) })
  }
  return [...sums.values()]
}

/** The side that answers. `channel`: a worker's to its supervisor, or the supervisor's to its API. */
export function answerFigures(channel: Channel, figures: () => Promise<MetricJson[][]>): void {
  channel.on('message', (message: unknown) => {
    const { layerdMetrics, id } = (message ?? {}) as Partial<Question>
    if (layerdMetrics !== 'ask' || id === undefined) return
    // Who asked may have gone: without a callback that would be an error of the process.
    const answer = (metrics: MetricJson[][]) =>
      channel.send?.({ layerdMetrics: 'tell', id, metrics } satisfies Answer, () => undefined)
    void figures().then(answer, () => undefined)
  })
}
