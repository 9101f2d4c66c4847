import { untilAborted } from '../../lib/abort.ts'
import { AppError } from '../../lib/errors.ts'

/** Work that all who want its outcome share: it goes on as long as one of them waits, and is given up with the last. */
export interface Flights<T> {
  run(key: string, signal: AbortSignal, task: (signal: AbortSignal) => Promise<T>): Promise<T>
}

interface Flight<T> {
  readonly outcome: Promise<T>
  readonly controller: AbortController
  waiting: number
}

export function createFlights<T>(): Flights<T> {
  const flying = new Map<string, Flight<T>>()
  const start = (key: string, task: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const controller = new AbortController()
    const outcome = task(controller.signal)
    const flight = { outcome, controller, waiting: 0 }
    flying.set(key, flight)
    // Also where nobody waits any more.
    const end = () => void (flying.get(key) === flight && flying.delete(key))
    outcome.then(end, end)
    return flight
  }
  return {
    async run(key, signal, task) {
      const flight = flying.get(key) ?? start(key, task)
      flight.waiting += 1
      try {
        return await untilAborted(flight.outcome, signal)
      } finally {
        flight.waiting -= 1
        if (flight.waiting === 0) {
          if (flying.get(key) === flight) flying.delete(key)
          flight.controller.abort(new AppError('JOB_CANCELED', 'nobody waits for it any more'))
        }
      }
    },
  }
}
