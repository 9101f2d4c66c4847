import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { Value } from 'typebox/value'

/**
 * Query and path values arrive as text: "5" becomes 5 and a single value a list of one where the schema wants that. Bodies
 * are never converted, so that "6" is refused where a number is due. (Ajv's own coercion can't tell the two apart.)
 */
export const queryCoercionPlugin = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.addHook('preValidation', async (request) => {
      const schema = request.routeOptions.schema
      if (schema?.querystring) request.query = Value.Convert(schema.querystring, request.query)
      if (schema?.params) request.params = Value.Convert(schema.params, request.params)
    })
  },
  { name: 'query-coercion', fastify: '5.x' },
)
