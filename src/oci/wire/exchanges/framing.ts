import type { IncomingHttpHeaders } from 'node:http'

/**
 * Refuses a head that undici has read and that leaves it open where the body ends: our own parser does so too
 * (answer-parser.ts; test/fault/framing.test.ts has the table of both). Source: RFC 9112 6.3.
 */
export function checkFraming(
  method: string,
  headers: IncomingHttpHeaders | Record<string, string | string[] | undefined>,
): void {
  // The headers of an answer to a HEAD are those of a GET, and frame nothing.
  if (method === 'HEAD') return
  const { 'content-length': length, 'transfer-encoding': coding } = headers
  const chunked = coding === undefined || (typeof coding === 'string' && coding.toLowerCase() === 'chunked')
  const one = length === undefined || (typeof length === 'string' && /^\d{1,15}$/.test(length) && coding === undefined)
  if (!chunked || !one) throw ambiguous()
}

/**
 * A head that undici's parser has refused is told as a body that broke off, which would be tried again, where it held a
 * length. `answered`: whether the head had been told.
 */
export function framingError(error: Error, answered: boolean): Error {
  const mistold = (error as NodeJS.ErrnoException).code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
  return mistold && !answered ? ambiguous(error) : error
}

function ambiguous(cause?: Error): Error {
  return Object.assign(new Error('the length of the body is ambiguous', { cause }), { code: 'HPE_INVALID_FRAMING' })
}
