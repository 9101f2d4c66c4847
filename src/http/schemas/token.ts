import { type Static, Type } from 'typebox'
import { SCOPES } from '../../access/scopes.ts'
import { JobKind } from '../../jobs/model/definitions.ts'
import { pageOf, pageQuery } from './page.ts'
import { TokenLimits } from './session.ts'

const TIME = { format: 'date-time' } as const
/** Ten years. */
const MAX_SECONDS = 315_360_000
const MAX_OF_A_LIMIT = 50

const orNull = (format: Parameters<typeof Type.String>[0], description: string) =>
  Type.Union([Type.String(format), Type.Null()], { description })

export const Token = Type.Object(
  {
    id: Type.String({ description: 'Stands in the token, and opens nothing.' }),
    name: Type.String({ description: 'Whose its jobs, uploads and packages are.' }),
    scopes: Type.Array(Type.String()),
    limits: TokenLimits,
    description: orNull({}, 'What it is for.'),
    createdAt: Type.String(TIME),
    createdBy: Type.String({ description: 'The principal that asked for it.' }),
    expiresAt: orNull(TIME, 'Null: when it is taken away.'),
    lastUsedAt: orNull(TIME, 'To the minute; null: never.'),
  },
  { $id: 'Token', description: 'A token that layerd issued, without its secret.' },
)
export type Token = Static<typeof Token>

const list = <T extends Parameters<typeof Type.Array>[0]>(items: T, description: string) =>
  Type.Optional(Type.Array(items, { minItems: 1, maxItems: MAX_OF_A_LIMIT, uniqueItems: true, description }))

const TokenBody = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9._@-]{1,128}$',
      description:
        'Several tokens may have it, to change from one to the next. Not anonymous, and none of LAYERD_TOKENS_FILE.',
    }),
    scopes: Type.Array(Type.Enum(['*', ...SCOPES]), {
      minItems: 1,
      maxItems: SCOPES.length + 1,
      uniqueItems: true,
      description: 'Those that the caller has, or fewer; "*" is all of them.',
    }),
    limits: Type.Optional(
      Type.Object(
        {
          registries: list(Type.String({ minLength: 1, maxLength: 255 }), 'host[:port].'),
          repositories: list(Type.String({ maxLength: 512 }), 'Patterns as ghcr.io/team/**; the host may be *.'),
          kinds: list(JobKind, 'Kinds of jobs.'),
        },
        {
          additionalProperties: false,
          description:
            "What is left out limits nothing. They lie inside the caller's own. What lies in repositories that are named is its business, whoever brought it: who names them is limited to them, or has system:admin.",
        },
      ),
    ),
    expiresAt: Type.Optional(Type.String({ ...TIME, description: 'Default: when it is taken away.' })),
    expiresInSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: MAX_SECONDS, description: 'In place of expiresAt. At most ten years.' }),
    ),
    description: Type.Optional(Type.String({ maxLength: 500 })),
  },
  { additionalProperties: false },
)
export type TokenBody = Static<typeof TokenBody>

const IssuedToken = Type.Object(
  { ...Token.properties, token: Type.String({ description: 'Shown this once: Authorization: Bearer TOKEN.' }) },
  { description: 'The token, with its secret.' },
)

const TokenParams = Type.Object({ id: Type.String({ description: 'As GET /v1/tokens tells it.' }) })

export const listTokensSchema = {
  tags: ['access'],
  operationId: 'listTokens',
  summary: 'The tokens that layerd issued, by name',
  description: 'Needs the scope tokens:admin.',
  querystring: Type.Object(pageQuery, { additionalProperties: false }),
  response: { 200: pageOf('Token') },
}

export const getTokenSchema = {
  tags: ['access'],
  operationId: 'getToken',
  summary: 'A token that layerd issued',
  description: 'Needs the scope tokens:admin.',
  params: TokenParams,
  response: { 200: Type.Ref('Token') },
}

export const createTokenSchema = {
  tags: ['access'],
  operationId: 'createToken',
  summary: 'Issue a token',
  description:
    'Needs the scope tokens:admin. Nobody gives more than they have: SCOPE_MISSING, TOKEN_LIMITED. A name that tokens have already is given to who has all that they have, or had in the last 90 days.',
  body: TokenBody,
  response: {
    201: {
      description: 'Issued. The secret is shown this once, and kept as a hash alone.',
      headers: { Location: { type: 'string', description: 'Of the token, without its secret.' } },
      content: { 'application/json': { schema: IssuedToken } },
    },
  },
}

export const deleteTokenSchema = {
  tags: ['access'],
  operationId: 'deleteToken',
  summary: 'Take a token away',
  description:
    'Needs the scope tokens:admin, and all that the token has. It lets nobody in from the next request on, and what it has open ends.',
  params: TokenParams,
  response: { 204: Type.Null({ description: 'Gone.' }) },
}
