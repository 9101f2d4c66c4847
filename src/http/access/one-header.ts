import type { FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'

/** What stands before us may have looked at the other one. Throws REQUEST_INVALID. */
export function requireOneHeader({ raw: { rawHeaders } }: Pick<FastifyRequest, 'raw'>, name: string): void {
  const count = rawHeaders.filter((each, at) => at % 2 === 0 && each.toLowerCase() === name.toLowerCase()).length
  if (count > 1)
    throw new AppError('REQUEST_INVALID', `the request has ${count} ${name} headers`, { hint: 'Send one.' })
}
