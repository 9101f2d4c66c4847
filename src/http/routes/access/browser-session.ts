import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { Authenticator } from '../../../access/authenticator.ts'
import { AppError } from '../../../lib/errors.ts'
import { bearerToken } from '../../access/bearer-token.ts'
import { type Browsers, notNeeded } from '../../access/browsers.ts'
import { beginSessionSchema, endSessionSchema } from '../../schemas/session.ts'
import { toldSession } from './session.ts'

export interface BrowserSessionOptions {
  authenticator: Authenticator
  browsers: Browsers | undefined
}

/** Four times the longest token: whoever sends it is not known yet. */
const LOG_IN_BYTES = 64 * 1024

/** Log-in by a token, and log-out. */
export const browserSessionRoutes: FastifyPluginAsyncTypebox<BrowserSessionOptions> = async (
  app,
  { authenticator, browsers },
) => {
  const options = { schema: beginSessionSchema, config: { scope: 'log-in' }, bodyLimit: LOG_IN_BYTES } as const
  app.post('/v1/session', options, async (request, reply) => {
    if (!browsers) throw notNeeded()
    const token = tokenOf(request, request.body?.token)
    const principal = token === undefined ? undefined : await authenticator.authenticate(token)
    if (!principal) {
      await request.limitAddress(reply)
      if (token === undefined) throw noToken()
      throw (await request.logInFailed()) ?? unknownToken()
    }
    request.caller = principal
    await request.limitPrincipal(reply)
    const begun = await browsers.sessions.begin(principal, request, reply)
    request.auditedAs = begun
    request.log.info({ principal: begun.name }, 'logged in')
    return reply.code(201).header('cache-control', 'no-store').send(toldSession(begun))
  })

  app.delete('/v1/session', { schema: endSessionSchema, config: { scope: 'known' } }, async (request, reply) => {
    if (!browsers) throw notNeeded()
    if (!(await browsers.sessions.end(request, reply))) throw noSession()
    request.log.info({ principal: request.caller.name }, 'logged out')
    return reply.code(204).header('cache-control', 'no-store').send(null)
  })
}

/** '': what is none. Throws REQUEST_INVALID. */
function tokenOf({ headers }: FastifyRequest, inBody: string | undefined): string | undefined {
  if (headers.authorization === undefined) return inBody
  if (inBody !== undefined) {
    throw new AppError('REQUEST_INVALID', 'the request has two tokens, in Authorization and in the body', {
      hint: 'Send one of them.',
    })
  }
  return bearerToken(headers.authorization) ?? ''
}

function noToken(): AppError {
  return new AppError('UNAUTHENTICATED', 'the request has no token to log in with', {
    hint: 'Send {"token": "..."} as application/json, or the header Authorization: Bearer TOKEN.',
  })
}

function unknownToken(): AppError {
  return new AppError('UNAUTHENTICATED', 'the token is not known', {
    hint: 'Log in with a token that layerd takes as Authorization: Bearer TOKEN.',
  })
}

function noSession(): AppError {
  return new AppError('NOT_FOUND', 'the request came with a token, and not with the cookie of a session', {
    hint: 'There is nothing to log out of. A token is taken away where it was given.',
  })
}
