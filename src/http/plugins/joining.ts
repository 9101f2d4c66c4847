import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AppError } from '../../lib/errors.ts'
import { isOpen } from '../requests/open-paths.ts'

/** Until it is known that Redis is there and is this layerd's, only what needs no token is answered: `/livez` is never silent. */
export const joiningPlugin = fastifyPlugin(
  async (app: FastifyInstance, { joined }: { joined: () => boolean }) => {
    app.addHook('onRequest', async (request) => {
      if (joined() || isOpen(request.routeOptions.url)) return
      throw new AppError('QUEUE_UNAVAILABLE', 'layerd is starting and waits for Redis', {
        hint: 'Try again in a few seconds; if it lasts, look whether Redis runs and whether LAYERD_REDIS_URL is right.',
      })
    })
  },
  { name: 'joining', fastify: '5.x' },
)
