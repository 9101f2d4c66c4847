import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'

/** Where a browser keeps the secret of its session. */
export interface SessionCookie {
  /** With the port in it: to browsers all ports of a host are one. */
  name(): string
  /** Undefined where there is none. Throws REQUEST_INVALID where there are two, of which nobody knows whose they are. */
  read(request: FastifyRequest): string | undefined
  /** `endsAt`: ms since 1970. */
  set(reply: FastifyReply, secret: string, endsAt: number): void
  clear(reply: FastifyReply): void
}

export interface SessionCookieOptions {
  /** LAYERD_PUBLIC_URL. */
  publicUrl: string | undefined
  /** Where it listens. */
  port: () => number
}

/**
 * Neither scripts nor pages of other sites have the cookie sent or shown. Behind TLS its name makes browsers insist on that: no other host
 * and nobody on the wire can have set it. Source: RFC 6265bis 4.1.2, 4.1.3.
 */
export function createSessionCookie({ publicUrl, port }: SessionCookieOptions): SessionCookie {
  const url = publicUrl === undefined ? undefined : new URL(publicUrl)
  const secure = url?.protocol === 'https:'
  const name = (): string => `${secure ? '__Host-' : ''}layerd-session-${url ? portOf(url) : port()}`
  const attributes = { path: '/', httpOnly: true, secure, sameSite: 'strict' } as const
  return {
    name,
    read(request) {
      const named = name()
      const count = (request.headers.cookie ?? '').split(';').filter((pair) => nameOf(pair) === named).length
      if (count < 2) return request.cookies[named]
      throw new AppError('REQUEST_INVALID', `the request has ${count} cookies ${named}`, {
        hint: "Delete the browser's cookies for this host, and log in again.",
      })
    },
    set(reply, secret, endsAt) {
      const maxAge = Math.max(1, Math.floor((endsAt - Date.now()) / 1000))
      void reply.setCookie(name(), secret, { ...attributes, maxAge })
    },
    clear(reply) {
      void reply.clearCookie(name(), attributes)
    },
  }
}

function nameOf(pair: string): string {
  return pair.split('=', 1)[0]?.trim() ?? ''
}

function portOf({ port, protocol }: URL): string {
  return port || (protocol === 'https:' ? '443' : '80')
}
