import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { requireUnlimited } from '../../../access/limits.ts'
import type { AuditFilter, AuditLog } from '../../../jobs/access/audit-log.ts'
import { pageFrom, sendPage } from '../../answers/page.ts'
import { listAuditSchema } from '../../schemas/audit.ts'

export interface AuditRoutesOptions {
  audit: Pick<AuditLog, 'list'>
}

/** Who asked for what. */
export const auditRoutes: FastifyPluginAsyncTypebox<AuditRoutesOptions> = async (app, { audit }) => {
  app.get('/v1/audit', { schema: listAuditSchema, config: { scope: ['audit:read'] } }, async (request, reply) => {
    requireUnlimited(request.caller, 'the audit, which is of all that is done')
    const { principal, action, outcome, since, until } = request.query
    const filter: AuditFilter = {
      ...(principal === undefined ? {} : { principal }),
      ...(action === undefined ? {} : { action }),
      ...(outcome === undefined ? {} : { outcomes: outcome }),
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
    }
    return sendPage(reply, request.url, await audit.list(filter, pageFrom(request.query)))
  })
}
