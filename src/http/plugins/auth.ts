import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { isOpen } from '../requests/open-paths.ts'
import { requireScope, type Scope } from '../requests/scopes.ts'
import { openTokenFile } from '../requests/token-file.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Name of the caller's token; "anonymous" where none is required. */
    principal: string
  }
  interface FastifyContextConfig {
    /** What the caller's token has to have beside being known. Default: nothing. */
    scope?: Scope
  }
}

export interface AuthOptions {
  /** LAYERD_TOKENS_FILE; without it every caller that reaches the API is let in. */
  tokensFile: string | undefined
  logger: Logger
}

/**
 * RFC 6750 bearer tokens from a file of hashes. Throws UNAUTHENTICATED, which answers with WWW-Authenticate, and SCOPE_MISSING
 * where a route wants a scope (`config.scope`) that the token has not.
 */
export const authPlugin = fastifyPlugin(
  async (app: FastifyInstance, options: AuthOptions) => {
    app.decorateRequest('principal', 'anonymous')
    if (options.tokensFile === undefined) return
    const tokens = await openTokenFile(options.tokensFile, options.logger)
    app.addHook('onRequest', async (request) => {
      if (isOpen(request.routeOptions.url)) return
      const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(request.headers.authorization ?? '')?.[1]
      const principal = token === undefined ? undefined : await tokens.authenticate(token)
      if (principal === undefined) throw refusal(token === undefined)
      request.principal = principal.name
      requireScope(principal, request.routeOptions.config.scope)
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
