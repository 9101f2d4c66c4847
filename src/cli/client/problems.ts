import { ERROR_CODES, type ErrorCode } from '../../lib/errors.ts'
import type { Problem } from './contract.ts'

/** An answer of the API that is not a success; `problem` is what the daemon said (RFC 9457). */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
  }
}

/** `body`: JSON where it was that, else text. What a body that came with an HTTP error says; what is no problem document came from something before the daemon. */
export function refusal(status: number, body: unknown): ApiProblem {
  if (typeof body === 'object' && body !== null && 'code' in body) return new ApiProblem(body as Problem)
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? '')
  return new ApiProblem(problem('REQUEST_INVALID', status, `the answer was HTTP ${status}: ${text.slice(0, 200)}`))
}

/** A body as JSON where it is that, else its text. */
export function readBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** As Node has them from OpenSSL for a chain that ends in nothing it believes. */
const UNTRUSTED = /^(?:UNABLE_TO_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN)/

/** For an exchange that broke before there was an answer. */
export function unreachable(base: string, error: unknown): ApiProblem {
  // fetch() says no more than that it failed; the cause says why.
  const cause = error instanceof TypeError && error.cause instanceof Error ? error.cause : error
  const why = cause instanceof Error ? cause.message : String(cause)
  return new ApiProblem({
    ...problem('DAEMON_UNREACHABLE', 503, `no daemon answers at ${base}: ${why}`),
    hint: UNTRUSTED.test((cause as NodeJS.ErrnoException).code ?? '')
      ? 'Give the CA that signed its certificate in SSL_CERT_FILE, SSL_CERT_DIR or NODE_EXTRA_CA_CERTS.'
      : "Start it with 'layerd', or set LAYERD_URL to where it listens.",
  })
}

/** A problem that is found here, in the form in which the daemon tells its own. */
export function problem(code: ErrorCode, status: number, detail: string): Problem {
  return {
    type: `/docs/errors#${code}`,
    title: ERROR_CODES[code].title,
    status,
    detail,
    code,
    retryable: status >= 500,
  }
}
