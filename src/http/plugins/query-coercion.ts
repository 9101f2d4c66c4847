import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/**
 * Query values arrive as text: "5" becomes 5, "true" a boolean, and a single value a list of one, where the schema wants
 * that and the text is such a one; anything else stays as it is and is refused by the schema. Bodies are never converted, so
 * that "6" is refused where a number is due. (Ajv's own coercion can't tell the two apart, and takes "true" for 1.)
 */
export const queryCoercionPlugin = fastifyPlugin(
  async (app: FastifyInstance) => {
    app.addHook('preValidation', async (request) => {
      const properties = (request.routeOptions.schema?.querystring as Shape | undefined)?.properties ?? {}
      const query = request.query as Record<string, unknown>
      for (const [name, shape] of Object.entries(properties)) {
        if (Object.hasOwn(query, name)) query[name] = converted(query[name], shape)
      }
    })
  },
  { name: 'query-coercion', fastify: '5.x' },
)

interface Shape {
  type?: string
  items?: Shape
  properties?: Record<string, Shape>
}

function converted(value: unknown, shape: Shape): unknown {
  if (shape.type === 'array') return [value].flat().map((item) => converted(item, shape.items ?? {}))
  if (typeof value !== 'string') return value
  if (shape.type === 'integer') return /^-?\d{1,15}$/.test(value) ? Number(value) : value
  if (shape.type === 'boolean') return value === 'true' ? true : value === 'false' ? false : value
  return value
}
