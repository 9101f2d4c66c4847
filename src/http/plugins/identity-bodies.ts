import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { AppError } from '../../lib/errors.ts'

/**
 * Bodies come as they are: a compressed one would be kept, or parsed, as if it were the content itself. Source: RFC 9110
 * 8.4 and 15.5.16.
 */
export const identityBodiesPlugin = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.addHook('onRequest', async (request, reply) => {
      const coding = request.headers['content-encoding'] ?? ''
      if (/^(?:identity)?$/i.test(coding.trim())) return
      void reply.header('accept-encoding', 'identity')
      throw new AppError(
        'UNSUPPORTED_MEDIA_TYPE',
        `a body with Content-Encoding "${coding.slice(0, 100)}" is not taken`,
        {
          hint: 'Send it as it is, without Content-Encoding.',
        },
      )
    })
  },
  { name: 'identity-bodies', fastify: '5.x' },
)
