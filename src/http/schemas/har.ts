import { type Static, Type } from 'typebox'

const NONE = 'ms; -1 where there was none.'
const UNKNOWN = 'Bytes; -1 where not known.'

const Ms = (description: string) =>
  Type.Number({ minimum: -1, description: description === '' ? NONE : `${NONE} ${description}` })
const NameAndValue = Type.Array(Type.Object({ name: Type.String(), value: Type.String() }))
const Size = (description: string) =>
  Type.Integer({ minimum: -1, description: description === '' ? UNKNOWN : `${UNKNOWN} ${description}` })
const Cookies = Type.Array(Type.Object({}), { description: 'None are sent or kept.' })

const HarRequest = Type.Object({
  method: Type.String(),
  url: Type.String({ description: 'Without what is secret: of addresses that a registry gave, without their query.' }),
  httpVersion: Type.String(),
  cookies: Cookies,
  headers: NameAndValue,
  queryString: NameAndValue,
  headersSize: Size(''),
  bodySize: Size('So many went out.'),
})

const HarResponse = Type.Object({
  status: Type.Integer({ minimum: 0, description: '0: there was no answer.' }),
  statusText: Type.String(),
  httpVersion: Type.String(),
  cookies: Cookies,
  headers: NameAndValue,
  content: Type.Object({ size: Type.Integer({ minimum: 0 }), mimeType: Type.String() }),
  redirectURL: Type.String(),
  headersSize: Size(''),
  bodySize: Size('So many were read.'),
  _transferSize: Type.Integer({
    minimum: 0,
    description: "bodySize, for Chromium's tools, which take -1 of headersSize off it.",
  }),
  _error: Type.Optional(Type.String({ description: 'Why there is no answer, or not all of it.' })),
})

const HarEntry = Type.Object({
  startedDateTime: Type.String({ format: 'date-time' }),
  time: Type.Number({ minimum: 0, description: 'ms; the sum of the timings, ssl being part of connect.' }),
  request: HarRequest,
  response: HarResponse,
  cache: Type.Object({}),
  timings: Type.Object({
    blocked: Ms('Until there was a connection, or one could be made.'),
    dns: Ms(''),
    connect: Ms('TCP and TLS.'),
    ssl: Ms(''),
    send: Ms('Head and body.'),
    wait: Ms('Until the head of the answer.'),
    receive: Ms('Its body.'),
  }),
  connection: Type.Optional(
    Type.String({ description: 'A number of the worker: equal for what went over the same one.' }),
  ),
  _connectionId: Type.Optional(Type.String({ description: "connection, for Chromium's tools." })),
  _resourceType: Type.Literal('fetch', { description: "For Chromium's tools, which take JSON for a script." }),
  comment: Type.Optional(Type.String()),
  _op: Type.String({ description: 'What was being done.' }),
  _attempt: Type.Integer({ minimum: 0, description: 'Of the job.' }),
  _try: Type.Integer({ minimum: 1, description: 'Sends of the same call: again after a 401, a redirect, a fault.' }),
  _exchange: Type.Enum(['small', 'direct', 'undici'], {
    description:
      'What carried it: kept connections for small requests, one of its own for a large download, or undici.',
  }),
  _shared: Type.Optional(
    Type.Boolean({
      description: 'Sent for all jobs of the worker at this registry: for a token, or to learn its scheme.',
    }),
  ),
  _open: Type.Optional(Type.Boolean({ description: 'It was under way when it was written.' })),
  _error: Type.Optional(Type.Object({ code: Type.String(), message: Type.String() })),
})
export type HarEntry = Static<typeof HarEntry>

export const Har = Type.Object(
  {
    log: Type.Object({
      version: Type.String(),
      creator: Type.Object({ name: Type.String(), version: Type.String() }),
      pages: Type.Array(Type.Object({}), { description: "None; Firefox's tools read no archive without the member." }),
      comment: Type.String({ description: 'How many requests there are, and how many are not kept.' }),
      entries: Type.Array(HarEntry),
    }),
  },
  {
    $id: 'Har',
    description: "Requests of a job to its registry, as HTTP Archive 1.2 has it; members in _ are layerd's own.",
  },
)
export type Har = Static<typeof Har>

export const jobTraceSchema = {
  tags: ['jobs'],
  operationId: 'readJobTrace',
  summary: "A job's requests to its registry, as HAR 1.2",
  description:
    "Of a job with options.trace, and the last 50 of one that failed; for a day after its end. Browsers' developer tools open it.",
  params: Type.Object({ id: Type.String() }),
  response: {
    200: {
      description: 'The requests, oldest first.',
      headers: { 'Content-Disposition': { type: 'string', description: 'A file name, layerd-{id}.har.' } },
      content: { 'application/json': { schema: Type.Ref('Har') } },
    },
  },
}
