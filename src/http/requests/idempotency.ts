import { createHash } from 'node:crypto'
import type { Idempotency } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'

/** Visible ASCII; a structured string's quotes are taken off before. */
const KEY = /^[\x20-\x7e]{1,255}$/

export interface KeyedRequest {
  /** The Idempotency-Key header. */
  key: string | string[] | undefined
  principal: string
  /** Method and route: the same key elsewhere is another key. */
  route: string
  body: unknown
}

/**
 * What makes two requests the same one. Throws REQUEST_INVALID for a key that is none.
 * Source: draft-ietf-httpapi-idempotency-key-header-07, 2.1; unquoted keys are taken too, as most clients send them.
 */
export function readIdempotency({ key, principal, route, body }: KeyedRequest): Idempotency | undefined {
  if (key === undefined) return undefined
  const text = typeof key === 'string' ? key.trim().replace(/^"(.*)"$/, '$1') : ''
  if (!KEY.test(text)) {
    throw new AppError('REQUEST_INVALID', 'the header Idempotency-Key is not 1 to 255 characters of visible ASCII', {
      hint: 'A fresh UUID for each new job does.',
    })
  }
  const fingerprint = createHash('sha256').update(canonical(body)).digest('hex')
  return { scope: [principal, route, text].join('\n'), fingerprint }
}

/** JSON with sorted keys: the order in which a client writes fields makes no other request. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  })
}
