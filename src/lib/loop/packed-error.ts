import { AppError, type AppErrorOptions, type ErrorCode, toAppError } from '../errors.ts'

/** An AppError as what passes between threads, which keep neither classes nor own fields of errors. */
export interface PackedError {
  readonly code: ErrorCode
  readonly message: string
  readonly options: AppErrorOptions
}

export function packError(thrown: unknown): PackedError {
  const { code, message, cause, ...fields } = toAppError(thrown)
  const { retry, retryAfterMs, op, side, upstream, details, hint } = fields
  const given = { retry, retryAfterMs, op, side, upstream, details, hint, cause: causeOf(cause) }
  return {
    code,
    message,
    options: Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  }
}

export function unpackError({ code, message, options }: PackedError): AppError {
  return new AppError(code, message, options)
}

/** Its words and where it came from; fields of its own may be anything. */
function causeOf(cause: unknown): Error | undefined {
  if (!(cause instanceof Error)) return undefined
  const plain = new Error(cause.message)
  if (cause.stack !== undefined) plain.stack = cause.stack
  return plain
}
