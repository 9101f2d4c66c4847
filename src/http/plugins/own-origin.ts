import type { FastifyInstance, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AppError } from '../../lib/errors.ts'
import { requireOneHeader } from '../access/one-header.ts'
import { linkIn } from '../access/link.ts'
import { isPage } from '../requests/open-paths.ts'
import { isOwnOrigin } from '../access/origin.ts'

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]']

export interface OwnOriginOptions {
  /** Host part of LAYERD_LISTEN. */
  listenHost: string
  /** LAYERD_PUBLIC_URL. */
  publicUrl: string | undefined
  /** Whether bearer tokens guard the API; then Host is not checked. */
  tokensRequired: boolean
}

/**
 * Keeps web pages out that run in a browser on the same machine: a foreign name that resolves to loopback (DNS
 * rebinding) shows in Host, a page of another origin in Origin or Sec-Fetch-Site: another port of this machine is the same
 * site, but not us. A link from elsewhere may open our pages, and nothing else. No CORS header is ever sent.
 * Source: Fetch standard "Origin header", W3C Fetch Metadata, RFC 9110 421, RFC 9112 3.2.
 */
export const ownOriginPlugin = fastifyPlugin(
  async (app: FastifyInstance, options: OwnOriginOptions) => {
    const publicUrl = options.publicUrl === undefined ? undefined : new URL(options.publicUrl)
    const names = new Set([...LOOPBACK_NAMES, bracketed(options.listenHost)])
    if (publicUrl) names.add(publicUrl.hostname)
    app.addHook('onRequest', async (request) => {
      checkTarget(request)
      if (!options.tokensRequired) checkHost(request, names)
      checkOrigin(request, publicUrl?.origin)
    })
  },
  { name: 'own-origin', fastify: '5.x' },
)

/** One host, said once or twice alike. */
function checkTarget(request: FastifyRequest): void {
  const { url = '/' } = request.raw
  requireOneHeader(request, 'Host')
  if (url.startsWith('/') || url === '*') return
  const [, authority] = /^https?:\/\/([^/?#]*)/i.exec(url) ?? []
  if (authority !== undefined && authority.toLowerCase() === request.headers.host?.toLowerCase()) return
  throw new AppError('HOST_NOT_ALLOWED', `the address "${withoutQuery(url).slice(0, 200)}" is not the Host's`, {
    hint: 'layerd is no proxy: send the path alone.',
  })
}

/** A query may have a secret. */
function withoutQuery(url: string): string {
  return url.split('?', 1)[0] ?? ''
}

function checkHost(request: FastifyRequest, names: ReadonlySet<string>): void {
  const host = request.headers.host ?? ''
  const name = hostName(host)
  if (name !== undefined && names.has(name)) return
  throw new AppError('HOST_NOT_ALLOWED', `the Host "${host.slice(0, 200)}" is not served here`, {
    hint: 'Use localhost or 127.0.0.1, or set LAYERD_PUBLIC_URL to the address layerd is called by.',
  })
}

function checkOrigin(request: FastifyRequest, publicOrigin: string | undefined): void {
  const { origin, host } = request.headers
  if (origin !== undefined && !isOwnOrigin(origin, host, publicOrigin)) {
    throw new AppError('ORIGIN_NOT_ALLOWED', `requests from the origin "${origin.slice(0, 200)}" are refused`, {
      hint: 'layerd sends no CORS headers: call it from its own pages, or from a server.',
    })
  }
  if (!isOwnPage(request)) {
    throw new AppError('ORIGIN_NOT_ALLOWED', 'requests from pages of other origins are refused', {
      hint: "Open the address itself; links and scripts of other pages can't reach layerd's API.",
    })
  }
}

/** Nobody's page, our own, or a link to one of ours, or to a download. Browsers tell it over HTTPS and to loopback; others send no such header. */
function isOwnPage(request: FastifyRequest): boolean {
  const { headers, method, routeOptions } = request
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return true
  const opened = headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
  return method === 'GET' && opened && (isPage(routeOptions.url) || linkIn(request) !== undefined)
}

/** The name of `name[:port]`, lower case; undefined when it is not one. */
function hostName(host: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(host.toLowerCase())?.[1]
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host.toLowerCase()}]` : host.toLowerCase()
}
