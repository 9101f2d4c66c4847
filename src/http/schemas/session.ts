import { type Static, Type } from 'typebox'

/** Of a token: what is left out limits nothing. */
export const TokenLimits = Type.Object(
  {
    registries: Type.Optional(Type.Array(Type.String(), { description: 'host[:port].' })),
    repositories: Type.Optional(
      Type.Array(Type.String(), { description: 'Patterns as ghcr.io/team/**; the host may be *.' }),
    ),
    kinds: Type.Optional(Type.Array(Type.String(), { description: 'Kinds of jobs.' })),
  },
  { additionalProperties: false, description: 'What may be touched; what is left out limits nothing.' },
)

export const Session = Type.Object(
  {
    principal: Type.String({ description: 'Whose jobs, uploads and packages are its own.' }),
    scopes: Type.Array(Type.String(), { description: '"*" is all of them.' }),
    limits: TokenLimits,
    credential: Type.Object({
      kind: Type.String({ description: 'open: no token is required. file: of LAYERD_TOKENS_FILE. Others may come.' }),
      id: Type.Union([Type.String(), Type.Null()], { description: 'Of what can be taken away by its id.' }),
    }),
    expiresAt: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
      description: 'When it lets nobody in any more; null: when it is taken away.',
    }),
  },
  { $id: 'Session', description: 'Who asks, and what they may.' },
)
export type Session = Static<typeof Session>

export const getSessionSchema = {
  tags: ['access'],
  operationId: 'getSession',
  summary: 'Who asks, and what they may',
  description: 'Needs no scope.',
  response: { 200: Type.Ref('Session') },
}
