import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Authenticator } from '../../access/authenticator.ts'
import { type AccessGuard, createAccessGuard } from '../../access/guard.ts'
import { ANONYMOUS, type Principal } from '../../access/principal.ts'
import { requireScope, type Scope } from '../../access/scopes.ts'
import { AppError, isAppError } from '../../lib/errors.ts'
import { bearerToken } from '../access/bearer-token.ts'
import type { BrowserSessions } from '../access/browser-sessions.ts'
import { requireOneHeader } from '../access/one-header.ts'
import { isOpen, isProbe } from '../requests/open-paths.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; everybody is anonymous where no token is required. */
    caller: Principal
    /** Aborts when the caller's token is taken away or expires while this request is answered: UNAUTHENTICATED. */
    accessEnded: () => AbortSignal
  }
  interface FastifyContextConfig {
    /** What the caller has to have, one of these; `known`: nothing beside being known; `log-in`: not even that. Every route that is not open says it. */
    scope?: readonly Scope[] | 'known' | 'log-in'
  }
}

export interface AuthOptions {
  authenticator: Authenticator
  /** Undefined: there are none, and cookies are nothing. */
  browsers?: BrowserSessions | undefined
}

/**
 * RFC 6750 bearer tokens, and sessions of browsers. Throws UNAUTHENTICATED, which answers with WWW-Authenticate, and SCOPE_MISSING
 * before anything of the request is read. A route that says no scope ends the start: it would be everybody's.
 */
export const authPlugin = fastifyPlugin(
  async (app: FastifyInstance, { authenticator, browsers }: AuthOptions) => {
    const guard = createAccessGuard(authenticator)
    app.addHook('onClose', async () => guard.close())
    app.decorateRequest('caller', null as unknown as Principal)
    app.decorateRequest('accessEnded', null as unknown as () => AbortSignal)
    app.addHook('onRoute', ({ url, method, config }) => {
      if (isOpen(url) || config?.scope !== undefined) return
      throw new Error(`the route ${[method].flat().join(', ')} ${url} says no scope`)
    })
    app.addHook('onRequest', async (request, reply) => {
      request.caller = ANONYMOUS
      request.accessEnded = watcher(guard, request, reply)
      requireOneHeader(request, 'Authorization')
      const { url, config } = request.routeOptions
      const { scope } = config
      if (request.link) {
        request.caller = request.link.maker
        return request.limitLinks(reply)
      }
      if (!authenticator.required || isProbe(url)) return
      if (isOpen(url)) return request.limitAddress(reply)
      // Who it is shows later, and is counted then: nobody is locked out by what others send from behind the same proxy.
      if (scope === 'log-in') return browsers?.check(request)
      request.caller = await identified(request, reply, { authenticator, browsers })
      await request.limitPrincipal(reply)
      if (scope !== undefined && scope !== 'known') requireScope(request.caller, scope)
    })
    // A body may take its time, and a token may end meanwhile.
    app.addHook('preHandler', async (request) => {
      const { caller, body } = request
      if (body !== undefined && caller !== ANONYMOUS) await guard.requireCurrent(caller)
    })
  },
  { name: 'auth', fastify: '5.x' },
)

/** Who it is. Good tokens are let in however many others failed. Throws UNAUTHENTICATED, RATE_LIMITED. */
async function identified(
  request: FastifyRequest,
  reply: FastifyReply,
  { authenticator, browsers }: AuthOptions,
): Promise<Principal> {
  const token = bearerToken(request.headers.authorization)
  const caller = await refusable(async () => {
    const byCookie = await browsers?.callerOf(request, reply)
    return byCookie ?? (token === undefined ? undefined : await authenticator.authenticate(token))
  }, request)
  if (caller) return caller
  if (request.headers.authorization === undefined) {
    await request.limitAddress(reply)
    throw refusal(reply, true)
  }
  throw (await request.logInFailed()) ?? refusal(reply, token === undefined)
}

/** Counts what refuses by an error of its own. */
async function refusable<T>(task: () => Promise<T>, request: FastifyRequest): Promise<T> {
  try {
    return await task()
  } catch (error) {
    if (!isAppError(error) || error.code !== 'UNAUTHENTICATED') throw error
    throw (await request.logInFailed()) ?? error
  }
}

/** Watches from the first time that somebody asks, to the end of the connection's part in it. */
function watcher(guard: AccessGuard, request: FastifyRequest, reply: FastifyReply): () => AbortSignal {
  let ended: AbortSignal | undefined
  return () => {
    if (ended) return ended
    const watch = guard.watch(request.caller)
    if (reply.raw.closed || reply.raw.destroyed) watch.stop()
    else reply.raw.once('close', () => watch.stop())
    ended = watch.ended
    return ended
  }
}

/** Source: RFC 6750 3. */
function refusal(reply: FastifyReply, missing: boolean): AppError {
  void reply.header('www-authenticate', `Bearer realm="layerd"${missing ? '' : ', error="invalid_token"'}`)
  return new AppError(
    'UNAUTHENTICATED',
    missing ? 'the request has no bearer token' : 'the bearer token is not known, or not any more',
    {
      hint: "Send the header 'Authorization: Bearer TOKEN' with a token of LAYERD_TOKENS_FILE, one that layerd issued (POST /v1/tokens, layerd tokens add), or one of the OIDC issuer that it trusts.",
    },
  )
}
