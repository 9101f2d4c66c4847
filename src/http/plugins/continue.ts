import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/**
 * `Expect: 100-continue` is answered after Host, Origin, token and file name were found good, and not by node:http before
 * them: who is refused has not sent a single GB by then. Source: RFC 9110 10.1.1.
 */
export const continuePlugin = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.server.on('checkContinue', (request, response) => app.routing(request, response))
    app.addHook('preParsing', async (request, reply) => {
      if (request.headers.expect?.toLowerCase() === '100-continue') reply.raw.writeContinue()
    })
  },
  { name: 'continue', fastify: '5.x' },
)
