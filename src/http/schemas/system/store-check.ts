import { type Static, Type } from 'typebox'

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(type: T, description: string) =>
  Type.Union([type, Type.Null()], { description })
const Time = Type.String({ format: 'date-time' })

const Finding = Type.Object({
  kind: Type.String({ description: 'blob-damaged, record-broken, package-incomplete and others; more may come.' }),
  path: Type.String({ description: "In the store's folder." }),
  message: Type.String(),
  packages: Type.Array(Type.Object({ digest: Type.String(), title: Type.String() }), {
    description: 'Those that are not whole because of it, twenty at most.',
  }),
})

export const StoreCheck = Type.Object(
  {
    state: Type.Enum(['none', 'running', 'done', 'stopped', 'failed', 'interrupted'], {
      description: 'none: there never was one. interrupted: its process has ended.',
    }),
    by: Nullable(Type.String(), 'Whose token began it.'),
    startedAt: Nullable(Time, 'By the clock of its process.'),
    endedAt: Nullable(Time, 'null: it runs, or nobody could tell its end.'),
    blobs: Type.Integer({ minimum: 0, description: 'That were read.' }),
    blobsTotal: Nullable(Type.Integer({ minimum: 0 }), 'That are to be read; null: not known yet.'),
    bytes: Type.Integer({ minimum: 0, description: 'Of the blobs that were read.' }),
    well: Nullable(Type.Boolean(), 'Whether nothing was found; null: it is not done.'),
    findings: Type.Array(Finding, { description: 'The first hundred.' }),
    findingsTotal: Type.Integer({ minimum: 0 }),
    trouble: Nullable(Type.String(), 'Why it failed.'),
  },
  { $id: 'StoreCheck', description: 'The check of the store that runs, or the last one.' },
)
export type StoreCheck = Static<typeof StoreCheck>

const body = Type.Unsafe<Record<string, never> | null>({ type: ['object', 'null'], additionalProperties: false })
const answer = { 'application/json': { schema: Type.Ref('StoreCheck') } }

export const getStoreCheckSchema = {
  tags: ['system'],
  operationId: 'getStoreCheck',
  summary: 'How far the check of the store is, or what the last one found',
  description: 'Needs the scope system:read, of a token without limits.',
  response: { 200: Type.Ref('StoreCheck') },
}

export const startStoreCheckSchema = {
  tags: ['system'],
  operationId: 'startStoreCheck',
  summary: 'Read every byte of the store, and tell what is damaged; nothing is changed',
  description:
    'Needs the scope system:admin, of a token without limits. One at a time in all of layerd: one that runs goes on, and is the answer. It takes up to a core of an API process. To mend what it finds, stop layerd and run layerd store check --repair.',
  body,
  response: { 202: { description: 'It runs.', content: answer } },
}

export const stopStoreCheckSchema = {
  tags: ['system'],
  operationId: 'stopStoreCheck',
  summary: 'End the check of the store, within seconds',
  description: 'Needs the scope system:admin, of a token without limits. Where none runs, nothing happens.',
  body,
  response: { 200: { description: 'It is told; its state says when it has ended.', content: answer } },
}
