import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { toldCredential } from '../../../access/audit.ts'
import type { Principal } from '../../../access/principal.ts'
import { getSessionSchema, type Session } from '../../schemas/session.ts'

/** Who asks. */
export const sessionRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/v1/session', { schema: getSessionSchema, config: { scope: 'known' } }, async (request, reply) =>
    reply.header('cache-control', 'no-store').send(toldSession(request.caller)),
  )
}

export function toldSession({ name, scopes, limits, credential, expiresAt }: Principal): Session {
  return {
    principal: name,
    scopes: [...scopes].toSorted(),
    limits: limits as Session['limits'],
    credential: toldCredential({ credential }),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
  }
}
