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
      kind: Type.String({
        description:
          'open: no token is required. file: of LAYERD_TOKENS_FILE. oidc: of LAYERD_OIDC_ISSUER. session: of a browser. Others may come.',
      }),
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

/** As long as those of an OIDC issuer may be. */
const MAX_TOKEN = 16_384

export const beginSessionSchema = {
  tags: ['access'],
  operationId: 'beginSession',
  summary: 'Log in: a cookie for a browser, which stands for a token',
  description:
    'The token stands in the body, or in Authorization; what there was of a session before ends. The cookie is HttpOnly and SameSite=Strict. It ends twelve hours after its last use, seven days after its beginning, and with its token.',
  body: Type.Unsafe<{ token?: string } | null>({
    type: ['object', 'null'],
    properties: { token: { type: 'string', minLength: 1, maxLength: MAX_TOKEN, description: 'A bearer token.' } },
    additionalProperties: false,
  }),
  response: {
    201: {
      description: 'Logged in.',
      headers: { 'Set-Cookie': { type: 'string', description: 'The session.' } },
      content: { 'application/json': { schema: Type.Ref('Session') } },
    },
  },
}

export const endSessionSchema = {
  tags: ['access'],
  operationId: 'endSession',
  summary: 'Log out: the session of the cookie ends, and what it has open',
  description: 'Needs no scope.',
  response: { 204: Type.Null({ description: 'Ended.' }) },
}

const page = { 'text/html': { schema: Type.String() } }
const Answered = Type.Optional(Type.String({ maxLength: 8192 }))

export const logInSchema = {
  tags: ['access'],
  operationId: 'logIn',
  summary: 'Log in at the OIDC issuer: for browsers, which it sends there',
  description: 'Needs no token. The log-in has ten minutes.',
  querystring: Type.Object({
    returnTo: Type.Optional(Type.String({ description: 'Where the browser goes then, a path of layerd. Default /.' })),
  }),
  response: {
    302: Type.Null({
      description: 'To the issuer.',
    }),
  },
}

export const finishLogInSchema = {
  tags: ['access'],
  operationId: 'finishLogIn',
  summary: 'Where the OIDC issuer sends browsers back to: the session of beginSession begins',
  querystring: Type.Object({ code: Answered, state: Answered, error: Answered, error_description: Answered }),
  response: { 200: { description: 'Logged in; the page goes on by itself.', content: page } },
}
