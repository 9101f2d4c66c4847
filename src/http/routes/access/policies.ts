import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { requireUnlimited } from '../../../access/limits.ts'
import type { PolicyRecords } from '../../../jobs/access/policy-records.ts'
import type { PolicyRecord } from '../../../jobs/model/policy.ts'
import { AppError } from '../../../lib/errors.ts'
import { isKnownTag } from '../../answers/conditional.ts'
import { pageFrom, sendPage } from '../../answers/page.ts'
import { placedPage } from '../../answers/placed-page.ts'
import type { KeyNames } from '../../requests/key-settings.ts'
import { checkPolicyRule } from '../../requests/policy-rule.ts'
import { checkPreconditions } from '../../requests/preconditions.ts'
import {
  deletePolicySchema,
  getPolicySchema,
  listPoliciesSchema,
  type Policy,
  putPolicySchema,
} from '../../schemas/policy.ts'

export interface PolicyRoutesOptions {
  policies: PolicyRecords
  /** Those that rules name. */
  keys: KeyNames
}

const BY_NAME = { place: ({ name }: PolicyRecord) => [name], isId: (text: string) => text !== '' }
const READ = { scope: ['policies:admin', 'system:read'] } as const
const ADMIN = { scope: ['policies:admin'] } as const

/** What packages have to be signed by. */
export const policyRoutes: FastifyPluginAsyncTypebox<PolicyRoutesOptions> = async (app, { policies, keys }) => {
  app.get('/v1/policies', { schema: listPoliciesSchema, config: READ }, async (request, reply) => {
    const page = placedPage(await policies.list(), pageFrom(request.query), BY_NAME)
    return sendPage(reply, request.url, { ...page, items: page.items.map(toldPolicy) })
  })

  app.get('/v1/policies/:name', { schema: getPolicySchema, config: READ }, async (request, reply) => {
    const { name } = request.params
    const record = await policies.get(name)
    if (!record) throw notKept(name)
    const etag = etagOf(record)
    void reply.header('etag', etag).header('cache-control', 'no-cache')
    if (isKnownTag(request.headers['if-none-match'], etag)) return reply.code(304).send(null)
    return reply.send(toldPolicy(record))
  })

  app.put('/v1/policies/:name', { schema: putPolicySchema, config: ADMIN }, async (request, reply) => {
    const { name } = request.params
    requireUnlimited(request.caller, `the policy ${name}, which is for all registries`)
    const seen = await policies.get(name)
    checkPreconditions(request.headers, seen && etagOf(seen), `the policy ${name}`)
    await checkPolicyRule(request.body, keys)
    const record = await policies.put(name, request.body, seen)
    request.log.info({ policy: name, principal: request.caller.name }, seen ? 'policy replaced' : 'policy kept')
    void reply.header('etag', etagOf(record)).header('cache-control', 'no-cache')
    return reply.code(seen ? 200 : 201).send(toldPolicy(record))
  })

  app.delete('/v1/policies/:name', { schema: deletePolicySchema, config: ADMIN }, async (request, reply) => {
    const { name } = request.params
    requireUnlimited(request.caller, `the policy ${name}, which is for all registries`)
    const seen = await policies.get(name)
    if (!seen) throw notKept(name)
    checkPreconditions({ 'if-match': request.headers['if-match'] }, etagOf(seen), `the policy ${name}`)
    await policies.remove(name, seen)
    request.log.info({ policy: name, principal: request.caller.name }, 'policy forgotten')
    return reply.code(204).send(null)
  })
}

function toldPolicy({ revision: _revision, ...policy }: PolicyRecord): Policy {
  return policy
}

function etagOf({ revision }: PolicyRecord): string {
  return `"${revision}"`
}

function notKept(name: string): AppError {
  return new AppError('NOT_FOUND', `there is no policy "${name}"`, {
    hint: 'GET /v1/policies (layerd policies) lists the policies that are kept.',
  })
}
