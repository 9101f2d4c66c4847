import { type Static, Type } from 'typebox'
import { AUDIT_OUTCOMES } from '../../access/audit.ts'
import { pageOf, pageQuery } from './page.ts'

const nullable = (description: string) => Type.Union([Type.String(), Type.Null()], { description })

export const AuditEntry = Type.Object(
  {
    id: Type.String({ description: 'Opaque.' }),
    time: Type.String({ format: 'date-time', description: 'When it was answered.' }),
    principal: nullable('Who asked; null: nobody knows.'),
    credential: Type.Union(
      [Type.Object({ kind: Type.String(), id: nullable('Of what can be taken away by its id.') }), Type.Null()],
      {
        description: 'What let it in.',
      },
    ),
    address: Type.String({
      description: 'Whom the connection is from: behind a proxy the proxy. Empty for what a job did.',
    }),
    action: nullable(
      'The operation, as this document calls it; null where there is none. What a job deleted in a registry: deleteTag, deleteEntry, deleteManifest.',
    ),
    method: Type.String(),
    route: nullable('Its address, with the names of its parameters.'),
    target: Type.Record(Type.String(), Type.String(), {
      description: 'What it was about: ids, names, references, by what each is. Without secrets.',
    }),
    outcome: Type.Enum([...AUDIT_OUTCOMES], { description: 'refused: 401, 403, 429.' }),
    status: Type.Integer(),
    code: nullable('Of the problem that it was answered with.'),
    requestId: Type.String(),
  },
  {
    $id: 'AuditEntry',
    description: 'Who asked for what, and what came of it. What became of a job is in the job itself.',
  },
)
export type AuditEntry = Static<typeof AuditEntry>

const AuditQuery = Type.Object(
  {
    ...pageQuery,
    principal: Type.Optional(Type.String({ maxLength: 512 })),
    action: Type.Optional(Type.String({ maxLength: 64, description: 'An operationId of this document.' })),
    outcome: Type.Optional(Type.Array(Type.Enum([...AUDIT_OUTCOMES]), { maxItems: 3 })),
    since: Type.Optional(Type.String({ format: 'date-time' })),
    until: Type.Optional(Type.String({ format: 'date-time' })),
  },
  { additionalProperties: false },
)

export const listAuditSchema = {
  tags: ['access'],
  operationId: 'listAudit',
  summary: 'Who asked for what, newest first',
  description:
    'Needs the scope audit:read, of a token without limits. Each request that may change something and each that was refused, of those that came too often one a minute and address; as many as LAYERD_AUDIT_ENTRIES says. A page may be short or empty and have a nextPageToken all the same.',
  querystring: AuditQuery,
  response: { 200: pageOf('AuditEntry') },
}
