import { type AppError, ERROR_CODES, type Side, type Upstream } from './errors.ts'

export interface ProblemFields {
  type: string
  title: string
  status: number
  detail: string
  code: string
  retryable: boolean
  hint?: string
  op?: string
  side?: Side
  upstream?: Upstream
  details?: Record<string, unknown>
}

/** The members that every problem document about an error has (RFC 9457). INTERNAL hides its cause: the log has it. */
export function problemFields(error: AppError, whenHidden: string): ProblemFields {
  const { status, title } = ERROR_CODES[error.code]
  const hidden = error.code === 'INTERNAL'
  const { hint, op, side, upstream, details } = error
  return {
    type: `/docs/errors#${error.code}`,
    title,
    status,
    detail: hidden ? whenHidden : error.message,
    code: error.code,
    retryable: error.retry === 'transient',
    ...(hint === undefined ? {} : { hint }),
    ...(op === undefined ? {} : { op }),
    ...(side === undefined ? {} : { side }),
    ...(upstream === undefined || Object.keys(upstream).length === 0 ? {} : { upstream }),
    ...(hidden || details === undefined || Object.keys(details).length === 0 ? {} : { details: { ...details } }),
  }
}
