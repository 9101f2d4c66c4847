import type { FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'

/** Whether an Origin is the Host's, or LAYERD_PUBLIC_URL's. */
export function isOwnOrigin(origin: string, host: string | undefined, publicOrigin: string | undefined): boolean {
  if (origin === publicOrigin) return true
  const match = /^https?:\/\/([^/]+)$/.exec(origin)
  return host !== undefined && match?.[1]?.toLowerCase() === host.toLowerCase()
}

/** What browsers let a page send to anywhere without asking first. Source: Fetch standard, "CORS-safelisted request-header". */
const OF_FORMS = new Set(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])

/**
 * For a change that a cookie asks for, which a browser sends whoever's page it is: a page of layerd says by its Origin that it is one,
 * and sends what no form can. Throws ORIGIN_NOT_ALLOWED, UNSUPPORTED_MEDIA_TYPE.
 */
export function requireOwnPage({ headers }: Pick<FastifyRequest, 'headers'>, publicOrigin: string | undefined): void {
  const { origin, host } = headers
  // What is reached over TLS has no page that came in clear, where anybody may have changed it.
  const inClear = publicOrigin?.startsWith('https:') === true && origin === publicOrigin.replace('https:', 'http:')
  if (origin === undefined || inClear || !isOwnOrigin(origin, host, publicOrigin)) {
    throw new AppError('ORIGIN_NOT_ALLOWED', 'a change by a session needs the Origin of a page of layerd', {
      hint: "Browsers send it by themselves; programs send 'Authorization: Bearer TOKEN' and no cookie.",
    })
  }
  const [type = ''] = (headers['content-type'] ?? '').split(';', 1)
  if (!OF_FORMS.has(type.trim().toLowerCase())) return
  throw new AppError('UNSUPPORTED_MEDIA_TYPE', `a session sends no ${type.slice(0, 100)}`, {
    hint: 'Send application/json; uploads application/octet-stream.',
  })
}
