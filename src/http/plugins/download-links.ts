import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { DownloadLinks, OpenedLink } from '../../access/links.ts'
import { linkIn, noSuchLink } from '../access/link.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What let the request in, in place of any other credential. */
    link: OpenedLink | null
  }
}

/**
 * Requests that bring a link's secret in their address: of one archive, and nobody looks at another credential then. What leads nowhere, any
 * more, is a 404. Neither the page that it was opened from nor a cache learns of it.
 */
export const downloadLinksPlugin = fastifyPlugin(
  async (app: FastifyInstance, { links }: { links: Pick<DownloadLinks, 'open'> }) => {
    app.decorateRequest('link', null)
    app.addHook('onRequest', async (request) => {
      const secret = linkIn(request)
      if (secret === undefined) return
      const link = await links.open(secret)
      if (!link || link.digest !== (request.params as { digest?: string }).digest) {
        throw (await request.logInFailed()) ?? noSuchLink()
      }
      request.link = link
    })
    app.addHook('onSend', async (request, reply) => {
      if (linkIn(request) === undefined) return
      void reply.headers({ 'cache-control': 'private, no-store', 'referrer-policy': 'no-referrer' })
    })
  },
  { name: 'download-links', fastify: '5.x' },
)
