import { type Static, Type } from 'typebox'
import { POLICY_NAME, PolicyRule } from '../../jobs/model/policy.ts'
import { pageOf, pageQuery } from './page.ts'

const PolicyParams = Type.Object({
  name: Type.String({
    pattern: POLICY_NAME,
    description: 'Lower case, digits, and . _ - in between. Rules count in the order of their names.',
  }),
})

export const Policy = Type.Object(
  {
    name: Type.String(),
    ...PolicyRule.properties,
    updatedAt: Type.String({ format: 'date-time' }),
  },
  {
    $id: 'Policy',
    required: ['name', 'match', 'verify', 'updatedAt'],
    description: 'What packages have to be signed by, by where they come from or go to, whatever a job asks for.',
  },
)
export type Policy = Static<typeof Policy>

const etagHeader = { ETag: { type: 'string', description: 'For If-Match.' } }
const conditions = {
  'if-match': Type.Optional(Type.String({ description: 'Its ETag. Needed where it is kept already.' })),
  'if-none-match': Type.Optional(Type.String({ description: '*: only where there is none of that name yet.' })),
}
const ofPolicy = { 'application/json': { schema: Type.Ref('Policy') } }

export const listPoliciesSchema = {
  tags: ['policies'],
  operationId: 'listPolicies',
  summary: 'The policies that are kept, in the order in which they count',
  description:
    'Needs the scope policies:admin or system:read. Rules of LAYERD_POLICY_FILE, which come first, are not told.',
  querystring: Type.Object(pageQuery, { additionalProperties: false }),
  response: { 200: pageOf('Policy') },
}

export const getPolicySchema = {
  tags: ['policies'],
  operationId: 'getPolicy',
  summary: 'A policy that is kept',
  description: 'Needs the scope policies:admin or system:read.',
  params: PolicyParams,
  headers: Type.Object({ 'if-none-match': Type.Optional(Type.String()) }),
  response: {
    200: { description: 'What is kept.', headers: etagHeader, content: ofPolicy },
    304: Type.Null({ description: 'It still has this ETag.' }),
  },
}

export const putPolicySchema = {
  tags: ['policies'],
  operationId: 'putPolicy',
  summary: 'Say what packages have to be signed by',
  description:
    'Needs the scope policies:admin, of a token without limits. Holds for every job that begins from then on. The first rule that matches counts: those of LAYERD_POLICY_FILE, then these by name.',
  params: PolicyParams,
  body: PolicyRule,
  headers: Type.Object(conditions),
  response: {
    200: { description: 'It took the place of the one that was kept.', headers: etagHeader, content: ofPolicy },
    201: { description: 'Kept for the first time.', headers: etagHeader, content: ofPolicy },
  },
}

export const deletePolicySchema = {
  tags: ['policies'],
  operationId: 'deletePolicy',
  summary: 'Forget a policy',
  description: 'Needs the scope policies:admin, of a token without limits.',
  params: PolicyParams,
  headers: Type.Object({ 'if-match': conditions['if-match'] }),
  response: { 204: Type.Null({ description: 'Gone.' }) },
}
