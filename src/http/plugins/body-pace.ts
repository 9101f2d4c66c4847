import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { gathered } from '../../content/streams.ts'
import { type BodyPace, LEAST_PACE, paced } from '../requests/bodies/body-pace.ts'

export interface BodyPaceOptions {
  bodyPace?: BodyPace | undefined
}

/**
 * A JSON body comes at least at a pace (routes that read their own body see to it themselves). The rest of a body whose
 * request was answered before may come for as long as a span of that; one that trickles in would keep its connection for ever.
 */
export const bodyPacePlugin = fastifyPlugin(
  async (app: FastifyInstance, { bodyPace = LEAST_PACE }: BodyPaceOptions) => {
    app.addHook('preParsing', async (request, _reply, payload) => {
      if (!/json/i.test(request.headers['content-type'] ?? '')) return payload
      const body = Readable.from(gathered(paced(payload, bodyPace)), { objectMode: false })
      // Fastify stops listening to a body that it has refused; what becomes of the rest of it is nobody's failure.
      return body.on('error', () => undefined)
    })
    app.addHook('onResponse', async ({ raw }) => {
      if (!raw.complete) setTimeout(() => raw.complete || raw.destroy(), bodyPace.overMs).unref()
    })
  },
  { name: 'body-pace', fastify: '5.x' },
)
