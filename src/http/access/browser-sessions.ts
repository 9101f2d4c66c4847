import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../access/principal.ts'
import type { Sessions } from '../../access/sessions.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import { requireOwnPage } from './origin.ts'
import type { BrowserCookie } from './browser-cookie.ts'
import { isSafe } from './safe-methods.ts'

/** Sessions as requests bring them and answers give them: in a cookie. */
export interface BrowserSessions {
  /**
   * Whose session it is; undefined where the request has no cookie of one. Throws UNAUTHENTICATED, and takes the cookie away, where it is
   * nobody's any more; REQUEST_INVALID beside a token; as `requireOwnPage` for what changes something.
   */
  callerOf(request: FastifyRequest, reply: FastifyReply): Promise<Principal | undefined>
  /** What `callerOf` throws of the cookie alone, for requests that log in. */
  check(request: FastifyRequest): void
  /** Logs in; what the browser had before ends. */
  begin(principal: Principal, request: FastifyRequest, reply: FastifyReply): Promise<Principal>
  /** Logs out. Whether there was a cookie. */
  end(request: FastifyRequest, reply: FastifyReply): Promise<boolean>
}

export interface BrowserSessionsOptions {
  sessions: Sessions
  cookie: BrowserCookie
  /** LAYERD_PUBLIC_URL. */
  publicUrl: string | undefined
  clock?: Clock
}

export function createBrowserSessions(options: BrowserSessionsOptions): BrowserSessions {
  const { sessions, cookie, publicUrl, clock = systemClock } = options
  const publicOrigin = publicUrl === undefined ? undefined : new URL(publicUrl).origin
  const read = (request: FastifyRequest): string | undefined => {
    const secret = cookie.read(request)
    if (secret !== undefined && !isSafe(request.method)) requireOwnPage(request, publicOrigin)
    return secret
  }
  return {
    async callerOf(request, reply) {
      const secret = read(request)
      if (secret === undefined) return undefined
      if (request.headers.authorization !== undefined) throw twoCallers(cookie.name())
      const caller = await sessions.open(secret)
      if (caller) return caller
      cookie.clear(reply)
      throw ended()
    },
    check: (request) => void read(request),
    async begin(principal, request, reply) {
      const before = read(request)
      const begun = await sessions.begin(principal)
      if (before !== undefined) await sessions.end(before)
      cookie.set(reply, begun.secret, begun.principal.expiresAt - clock.now())
      return begun.principal
    },
    async end(request, reply) {
      const secret = read(request)
      if (secret === undefined) return false
      await sessions.end(secret)
      cookie.clear(reply)
      return true
    },
  }
}

/** Also where both are of one: who looks at a request must not have to know which of the two counted. */
function twoCallers(name: string): AppError {
  return new AppError('REQUEST_INVALID', `the request has a token and the cookie ${name}, which may be two callers`, {
    hint: "Send one of them: a page of layerd leaves Authorization out, or fetches with credentials: 'omit'.",
  })
}

function ended(): AppError {
  return new AppError('UNAUTHENTICATED', 'the session of the cookie has ended', {
    hint: 'Log in again: POST /v1/session with a token, or open /v1/session/login where there is an OIDC issuer.',
  })
}
