import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fastifyStatic } from '@fastify/static'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { AppError } from '../../lib/errors.ts'
import { DASHBOARD_PAGES } from '../requests/open-paths.ts'
import { frontRoutes } from './front.ts'

/** `npm run build:ui` builds it; in a clone and beside what was compiled of it it lies at the same place. */
const BUILT = fileURLToPath(new URL('../../../dist/ui', import.meta.url))

/** Everything is our own and comes from here; what a package or a registry says runs nowhere. */
const CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"

/** As Vite names what it builds: no path, and nothing hidden. */
const ASSET = /^[\w-]+(?:\.[\w-]+)+$/

export interface DashboardOptions {
  version: string
  /** What Vite has built. Default: dist/ui. */
  dashboard?: string | undefined
}

/**
 * The dashboard, where it has been built: its pages and what they load, for whoever asks; what they show comes from the API, by the
 * caller's own rights. Hashed files never change, the shell is asked for each time.
 */
export const dashboardRoutes: FastifyPluginAsyncTypebox<DashboardOptions> = async (app, options) => {
  const { version, dashboard: root = BUILT } = options
  if (!existsSync(join(root, 'index.html'))) {
    await app.register(frontRoutes, { version, sendDashboard: undefined })
    return
  }
  await app.register(fastifyStatic, {
    root,
    prefix: '/assets/',
    serve: false,
    preCompressed: true,
  })
  const sendDashboard = (reply: FastifyReply) =>
    reply
      .headers({ 'content-security-policy': CSP, 'referrer-policy': 'no-referrer' })
      .serializer(String)
      .sendFile('index.html', root, { cacheControl: false })
      .header('cache-control', 'no-cache')
  await app.register(frontRoutes, { version, sendDashboard })
  for (const url of DASHBOARD_PAGES)
    app.get(url, { schema: { hide: true } }, async (_request, reply) => sendDashboard(reply))
  app.get('/assets/:name', { schema: { hide: true } }, async (request, reply) => {
    const { name } = request.params as { name: string }
    const assets = join(root, 'assets')
    if (!ASSET.test(name) || !existsSync(join(assets, name))) throw notThere(name)
    return reply.sendFile(name, assets, { maxAge: '365d', immutable: true })
  })
}

function notThere(name: string): AppError {
  return new AppError('NOT_FOUND', `there is nothing at /assets/${name.slice(0, 200)}`, {
    hint: 'layerd may have been updated since the page was opened: load it anew.',
  })
}
