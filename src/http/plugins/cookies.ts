import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Principal } from '../../access/principal.ts'

/**
 * Reads cookies, and keeps what was answered to one out of every cache but the browser's own: that it was for one caller alone shows by
 * Authorization elsewhere. Source: RFC 9111 3.5, 5.2.2.7.
 */
export const cookiesPlugin = fastifyPlugin(
  async (app: FastifyInstance) => {
    await app.register(fastifyCookie)
    app.addHook('onSend', async (request, reply) => {
      // Before it was asked who calls there is nobody.
      const { caller } = request as { caller: Principal | null }
      if (!caller?.credential.startsWith('session:')) return
      const control = String(reply.getHeader('cache-control') ?? 'no-cache')
      const vary = [reply.getHeader('vary') ?? []].flat().join(', ')
      if (!/\b(?:no-store|private)\b/.test(control)) void reply.header('cache-control', `private, ${control}`)
      void reply.header('vary', vary === '' ? 'cookie' : `${vary}, cookie`)
      // Nor does another origin get it as a picture or a script.
      void reply.header('cross-origin-resource-policy', 'same-origin')
    })
  },
  { name: 'cookies', fastify: '5.x' },
)
