import { AppError } from '../../../lib/errors.ts'

const RETRY_AFTER_MS = 5000

/** Counts the uploads that each caller has open, so that one of them does not take all there is. */
export class OpenUploads {
  readonly #max: number
  readonly #open = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** A place for one more, until disposed. Throws UPLOADS_TOO_MANY. */
  take(principal: string): Disposable {
    const open = this.#open.get(principal) ?? 0
    if (open >= this.#max) throw tooMany(principal, open)
    this.#open.set(principal, open + 1)
    return { [Symbol.dispose]: () => this.#give(principal) }
  }

  #give(principal: string): void {
    const open = (this.#open.get(principal) ?? 1) - 1
    if (open === 0) this.#open.delete(principal)
    else this.#open.set(principal, open)
  }
}

function tooMany(principal: string, open: number): AppError {
  return new AppError('UPLOADS_TOO_MANY', `${principal} has ${open} uploads open, and no more are taken at once`, {
    retryAfterMs: RETRY_AFTER_MS,
    hint: 'Send it when one of them has ended. LAYERD_UPLOADS_PER_PRINCIPAL is the limit.',
    details: { open, maxOpen: open },
  })
}
