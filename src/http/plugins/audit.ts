import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type AuditRecorder, type AuditTarget, outcomeOf, toldCredential } from '../../access/audit.ts'
import type { Principal } from '../../access/principal.ts'
import { withoutUnseen } from '../../lib/text.ts'
import { isSafe } from '../access/safe-methods.ts'
import { targetOfPath } from '../requests/audited.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the problem that answers it. */
    problemCode?: string | undefined
    /** What more the audit is to tell of what it is about: names and ids, never a secret. */
    audited?: AuditTarget | undefined
    /** Who a log-in turned out to be. */
    auditedAs?: Principal | undefined
  }
  interface FastifyContextConfig {
    /** What the audit says that a request is about. Default: what its parameters name. */
    audit?: (request: FastifyRequest, reply: FastifyReply) => AuditTarget
    /** Whether the audit tells of it though it only reads: log-ins that a link leads through. */
    auditReads?: boolean
  }
}

export interface AuditPluginOptions {
  recorder: AuditRecorder
  /** Whether callers have to be known; else they are anonymous, and known as that. */
  tokensRequired: boolean
}

const MINUTE_MS = 60_000
const MOST_ADDRESSES = 10_000

/**
 * Tells who did what: each request that may change something, each download by a link, each that was refused. Of those that came too often (429) one a
 * minute and address. Nothing of bodies, queries and headers but what routes name. Registered before who asks is looked at.
 */
export const auditPlugin = fastifyPlugin(
  async (app: FastifyInstance, { recorder, tokensRequired }: AuditPluginOptions) => {
    app.decorateRequest('problemCode', undefined)
    app.decorateRequest('audited', undefined)
    app.decorateRequest('auditedAs', undefined)
    const told = new WeakSet<FastifyRequest>()
    const isFirst = firstOfMinute()
    // Not onResponse: that does not come where the client has gone meanwhile, and what it asked for may be done.
    app.addHook('onSend', async (request, reply) => {
      if (told.has(request) || !isTold(request, reply)) return
      told.add(request)
      if (reply.statusCode === 429 && !isFirst(request.ip)) return
      recorder.record(recordOf(request, reply, tokensRequired))
    })
  },
  { name: 'audit', fastify: '5.x' },
)

function isTold({ method, routeOptions, caller, link }: FastifyRequest, { statusCode }: FastifyReply): boolean {
  if (outcomeOf(statusCode) === 'refused') return true
  // Refused before anybody looked who asks: layerd ends, or waits for Redis.
  if (!caller || routeOptions.url === undefined) return false
  return !isSafe(method) || Boolean(link) || routeOptions.config.auditReads === true
}

function recordOf(request: FastifyRequest, reply: FastifyReply, tokensRequired: boolean) {
  const { caller, routeOptions, method } = request
  const known = request.auditedAs ?? (caller && !(tokensRequired && caller.credential === 'open') ? caller : undefined)
  const { schema, config, url: route } = routeOptions
  return {
    time: new Date().toISOString(),
    principal: known ? withoutUnseen(known.name) : null,
    credential: known ? toldCredential(known) : null,
    address: request.ip,
    action: schema?.operationId ?? null,
    method,
    route: route ?? null,
    target: {
      ...(request.link ? { by: 'link' } : {}),
      ...(config.audit?.(request, reply) ?? targetOfPath(request)),
      ...request.audited,
    },
    outcome: outcomeOf(reply.statusCode),
    status: reply.statusCode,
    code: request.problemCode ?? null,
    requestId: request.id,
  }
}

function firstOfMinute(): (address: string) => boolean {
  const seen = new Set<string>()
  let minute = 0
  return (address) => {
    const now = Math.floor(Date.now() / MINUTE_MS)
    if (now !== minute) seen.clear()
    minute = now
    if (seen.has(address) || seen.size >= MOST_ADDRESSES) return false
    seen.add(address)
    return true
  }
}
