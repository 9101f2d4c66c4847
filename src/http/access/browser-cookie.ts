import type { Server } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError } from '../../lib/errors.ts'

/** What a browser keeps for layerd, and no script sees. */
export interface BrowserCookie {
  /** With the port in it: to browsers all ports of a host are one. */
  name(): string
  /** Undefined where there is none. Throws REQUEST_INVALID where there are two, of which nobody knows whose they are. */
  read(request: FastifyRequest): string | undefined
  set(reply: FastifyReply, value: string, lastsMs: number): void
  clear(reply: FastifyReply): void
}

/** Makes cookies of one layerd. `sameSite`: whether a link from another site has it sent (lax) or not. */
export type BrowserCookies = (purpose: string, sameSite: 'strict' | 'lax') => BrowserCookie

/**
 * `publicUrl`: LAYERD_PUBLIC_URL. Behind TLS a cookie's name makes browsers insist on that: no other host and nobody on the wire can have
 * set it. Source: RFC 6265bis 4.1.2, 4.1.3.
 */
export function createBrowserCookies(publicUrl: string | undefined, server: Pick<Server, 'address'>): BrowserCookies {
  const url = publicUrl === undefined ? undefined : new URL(publicUrl)
  const secure = url?.protocol === 'https:'
  return (purpose, sameSite) => {
    const name = (): string => `${secure ? '__Host-' : ''}layerd-${purpose}-${url ? portOf(url) : portOn(server)}`
    const attributes = { path: '/', httpOnly: true, secure, sameSite }
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
      set(reply, value, lastsMs) {
        void reply.setCookie(name(), value, { ...attributes, maxAge: Math.max(1, Math.floor(lastsMs / 1000)) })
      },
      clear(reply) {
        void reply.clearCookie(name(), attributes)
      },
    }
  }
}

function nameOf(pair: string): string {
  return pair.split('=', 1)[0]?.trim() ?? ''
}

function portOf({ port, protocol }: URL): string {
  return port || (protocol === 'https:' ? '443' : '80')
}

function portOn(server: Pick<Server, 'address'>): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
