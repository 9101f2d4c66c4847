import { fastifySwagger } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { errorsPage } from '../answers/errors-page.ts'
import { completed } from '../document/document.ts'
import { DOCS_LOOK } from '../document/look.ts'

/** The page loads nothing from elsewhere and runs no inline script; Swagger UI draws some icons from data: URLs. */
const PAGE_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const DESCRIPTION = `Package manager service for Zarf packages in OCI registries.

Every answer that is not a success is an RFC 9457 problem document (\`application/problem+json\`); its \`code\` is stable
and /docs/errors lists each. Clients must accept job states and event types they do not know.`

const TAGS = [
  { name: 'jobs', description: 'What layerd is asked to do, and how far it is.' },
  { name: 'packages', description: 'The content store, and packages in registries.' },
  { name: 'registries', description: 'What layerd knows of a registry, and what is wrong with it.' },
  { name: 'catalog', description: 'What registries hold, as packages.' },
  { name: 'keys', description: 'Keys that jobs sign and verify packages with.' },
  { name: 'system', description: 'What operators see and steer.' },
  { name: 'policies', description: 'What packages have to be signed by.' },
  { name: 'uploads', description: 'Packages sent by the caller.' },
  { name: 'access', description: 'Who asks, and what they may.' },
  { name: 'service', description: 'The daemon itself.' },
]

/** OpenAPI 3.1 from the routes' schemas: /openapi.yaml, and /docs to read and try. Registered before the routes. */
export const openapiPlugin = fastifyPlugin(
  async (app: FastifyInstance, options: { version: string }) => {
    await app.register(fastifySwagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'layerd',
          version: options.version,
          description: DESCRIPTION,
          license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as { name: string },
        },
        servers: [{ url: 'http://127.0.0.1:8420', description: 'Where layerd listens unless it is told otherwise.' }],
        tags: TAGS,
        components: {
          securitySchemes: {
            token: {
              type: 'http',
              scheme: 'bearer',
              description: 'Where LAYERD_TOKENS_FILE or LAYERD_OIDC_ISSUER is set.',
            },
            session: {
              type: 'apiKey',
              in: 'cookie',
              name: 'layerd-session-8420',
              description:
                'Of POST /v1/session, for browsers. The port is that of LAYERD_PUBLIC_URL, or where layerd listens.',
            },
          },
          responses: {
            Problem: {
              description: 'Not done; the document says why.',
              content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
            },
          },
        },
        security: [{ token: [] }, { session: [] }, {}],
      },
      refResolver: {
        buildLocalReference: (schema, _base, _fragment, at) =>
          typeof schema['$id'] === 'string' ? schema['$id'] : `def-${at}`,
      },
      transformObject: (found) => ('openapiObject' in found ? completed(found.openapiObject) : found.swaggerObject),
    })
    await app.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: PAGE_CSP,
      uiConfig: { deepLinking: true },
      logo: DOCS_LOOK.logo,
      theme: { ...DOCS_LOOK.theme, css: [...DOCS_LOOK.theme.css], favicon: [...DOCS_LOOK.theme.favicon] },
    })
    app.get('/openapi.yaml', { schema: { hide: true } }, async (_request, reply) =>
      reply.type('application/yaml; charset=utf-8').send(app.swagger({ yaml: true })),
    )
    app.get('/docs/errors', { schema: { hide: true } }, async (_request, reply) =>
      reply.header('content-security-policy', PAGE_CSP).type('text/html; charset=utf-8').send(errorsPage()),
    )
  },
  { name: 'openapi', fastify: '5.x' },
)
