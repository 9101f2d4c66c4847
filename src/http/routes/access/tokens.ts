import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Authenticator } from '../../../access/authenticator.ts'
import { requireIncluded } from '../../../access/grants.ts'
import { type IssuedToken, type IssuedTokens, isTokenId } from '../../../access/issued-tokens.ts'
import { type Clock, systemClock } from '../../../lib/clock.ts'
import { AppError } from '../../../lib/errors.ts'
import { pageFrom, sendPage } from '../../answers/page.ts'
import { placedPage } from '../../answers/placed-page.ts'
import { type OwnedThings, ownsAnything, requireName, tokenWish } from '../../requests/token-wish.ts'
import {
  createTokenSchema,
  deleteTokenSchema,
  getTokenSchema,
  listTokensSchema,
  type Token,
} from '../../schemas/token.ts'

export interface TokenRoutesOptions extends OwnedThings {
  tokens: IssuedTokens
  authenticator: Authenticator
  clock?: Clock
}

const ADMIN = { scope: ['tokens:admin'] } as const
const BY_NAME = { place: ({ name, id }: IssuedToken) => [name, id], isId: isTokenId }

/** Tokens that layerd issued. */
export const tokenRoutes: FastifyPluginAsyncTypebox<TokenRoutesOptions> = async (app, options) => {
  const { tokens, authenticator, clock = systemClock } = options
  const kept = async (id: string): Promise<IssuedToken> => {
    const token = await tokens.get(id)
    if (token) return token
    throw new AppError('NOT_FOUND', `there is no token ${id.slice(0, 64)}`, {
      hint: 'GET /v1/tokens (layerd tokens) lists those that layerd issued; those of LAYERD_TOKENS_FILE are in there.',
    })
  }

  app.get('/v1/tokens', { schema: listTokensSchema, config: ADMIN }, async (request, reply) => {
    const { items, ...page } = placedPage(await tokens.list(), pageFrom(request.query), BY_NAME)
    return sendPage(reply, request.url, { ...page, items: items.map(told) })
  })

  app.get('/v1/tokens/:id', { schema: getTokenSchema, config: ADMIN }, async (request, reply) =>
    reply.header('cache-control', 'no-cache').send(told(await kept(request.params.id))),
  )

  app.post('/v1/tokens', { schema: createTokenSchema, config: ADMIN }, async (request, reply) => {
    if (!authenticator.required) throw notRequired()
    const { caller } = request
    const reserves = async (name: string) => (await authenticator.reserves?.(name)) === true
    const wish = await tokenWish(request.body, { caller, now: clock.now(), reserves })
    const owns = await ownsAnything(wish.name, options)
    const { text, token } = await tokens.issue(wish, (others) => requireName(caller, wish.name, { others, owns }))
    const { id, name, scopes, limits, expiresAt } = token
    request.audited = { token: id, name, scopes: scopes.join(',') }
    request.log.info({ principal: caller.name, token: id, of: name, scopes, limits, expiresAt }, 'token issued')
    return reply
      .code(201)
      .headers({ location: `/v1/tokens/${id}`, 'cache-control': 'no-store' })
      .send({ ...told(token), token: text })
  })

  app.delete('/v1/tokens/:id', { schema: deleteTokenSchema, config: ADMIN }, async (request, reply) => {
    const { id, name, scopes, limits } = await kept(request.params.id)
    request.audited = { name }
    requireIncluded(request.caller, { scopes: new Set(scopes), limits })
    await tokens.revoke(id)
    request.log.info({ principal: request.caller.name, token: id, of: name }, 'token taken away')
    return reply.code(204).send(null)
  })
}

function told(token: IssuedToken): Token {
  return token as Token
}

function notRequired(): AppError {
  return new AppError('TOKENS_NOT_REQUIRED', 'this layerd asks nobody for a token, so one would be good for nothing', {
    hint: 'Set LAYERD_TOKENS_FILE to a file with a first token, whose scope is * or tokens:admin, or LAYERD_OIDC_ISSUER, and start layerd again.',
  })
}
