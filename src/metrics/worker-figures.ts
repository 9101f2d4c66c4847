import { answer, ask, type Channel } from '../lib/channel.ts'
import type { MetricJson } from './process-metrics.ts'

const ANSWER_MS = 2000

/** MetricJson[][]: of each process that the answering one speaks for. */
const TOPIC = 'metrics'

/**
 * The side that asks: the supervisor its workers, of which those that have ended stay counted too, and the API its
 * supervisor.
 */
export class WorkerFigures {
  readonly #last = new Map<Channel, MetricJson[][]>()
  /** Of all that have ended, in one sum: workers that die again and again must not pile up. */
  #ended: MetricJson[] = []
  readonly #answerMs: number

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

  async #ask(worker: Channel): Promise<MetricJson[][]> {
    const metrics = await ask<MetricJson[][]>(worker, TOPIC, this.#answerMs)
    if (metrics !== undefined && this.#last.has(worker)) this.#last.set(worker, metrics)
    return this.#last.get(worker) ?? []
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
  answer(channel, TOPIC, figures)
}
