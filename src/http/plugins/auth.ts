import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Authenticator } from '../../access/authenticator.ts'
import { ANONYMOUS, type Principal } from '../../access/principal.ts'
import { requireScope, type Scope } from '../../access/scopes.ts'
import { AppError } from '../../lib/errors.ts'
import { isOpen } from '../requests/open-paths.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; everybody is anonymous where no token is required. */
    caller: Principal
  }
  interface FastifyContextConfig {
    /** What the caller has to have, one of these; `known`: nothing beside being known. Every route that is not open says it. */
    scope?: readonly Scope[] | 'known'
  }
}

export interface AuthOptions {
  authenticator: Authenticator
}

/**
 * RFC 6750 bearer tokens. Throws UNAUTHENTICATED, which answers with WWW-Authenticate, and SCOPE_MISSING
 * before anything of the request is read. A route that says no scope ends the start: it would be everybody's.
 */
export const authPlugin = fastifyPlugin(
  async (app: FastifyInstance, { authenticator }: AuthOptions) => {
    app.decorateRequest('caller', null as unknown as Principal)
    app.addHook('onRoute', ({ url, method, config }) => {
      if (isOpen(url) || config?.scope !== undefined) return
      throw new Error(`the route ${[method].flat().join(', ')} ${url} says no scope`)
    })
    app.addHook('onRequest', async (request) => {
      request.caller = ANONYMOUS
      if (!authenticator.required || isOpen(request.routeOptions.url)) return
      const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(request.headers.authorization ?? '')?.[1]
      const caller = token === undefined ? undefined : await authenticator.authenticate(token)
      if (caller === undefined) throw refusal(token === undefined)
      request.caller = caller
      const { scope } = request.routeOptions.config
      if (scope !== undefined && scope !== 'known') requireScope(caller, scope)
    })
  },
  { name: 'auth', fastify: '5.x' },
)

function refusal(missing: boolean): AppError {
  return new AppError(
    'UNAUTHENTICATED',
    missing ? 'the request has no bearer token' : 'the bearer token is not known',
    {
      hint: "Send the header 'Authorization: Bearer TOKEN' with a token whose SHA-256 is in LAYERD_TOKENS_FILE.",
    },
  )
}
