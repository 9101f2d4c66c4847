import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { AppError, type ErrorCode } from '../../lib/errors.ts'
import { PROBLEM_MEDIA_TYPE, problemOf } from './problem.ts'

/** Parser errors of node:http and the status that RFC 9110 has for them. */
const KNOWN: Readonly<Record<string, { code: ErrorCode; status: number; detail: string }>> = {
  HPE_HEADER_OVERFLOW: { code: 'REQUEST_INVALID', status: 431, detail: 'the request headers are too large' },
  ERR_HTTP_REQUEST_TIMEOUT: { code: 'REQUEST_INVALID', status: 408, detail: 'the request did not arrive in time' },
}

/** Answers what is not HTTP enough to reach a route, on the bare socket: a problem document, then the end. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  // ECONNRESET: nobody is there to read an answer.
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const known = KNOWN[error.code ?? ''] ?? { code: 'REQUEST_INVALID', status: 400, detail: 'the request is not HTTP' }
  const body = JSON.stringify({ ...problemOf(new AppError(known.code, known.detail), {}), status: known.status })
  socket.end(
    [
      `HTTP/1.1 ${known.status} ${STATUS_CODES[known.status] ?? ''}`,
      `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'X-Content-Type-Options: nosniff',
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
