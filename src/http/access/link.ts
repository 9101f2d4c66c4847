import type { FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `?link=SECRET` may stand for a credential. */
    linked?: true
  }
}

/** The secret of a link to a download, of a request that one may let in; '' for what can be none. */
export function linkIn({ routeOptions, query }: Pick<FastifyRequest, 'routeOptions' | 'query'>): string | undefined {
  if (routeOptions.config.linked !== true) return undefined
  const { link } = query as { link?: unknown }
  if (link === undefined) return undefined
  return typeof link === 'string' ? link : ''
}

export function noSuchLink(): AppError {
  return new AppError('NOT_FOUND', 'there is no such download link, or not any more', {
    hint: 'A link ends after its time, with the credential that made it, and with its package: make another one, POST /v1/packages/{digest}/links.',
  })
}
