import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Problem } from '../../jobs/model/definitions.ts'
import { AppError, ERROR_CODES, type ErrorCode, isAppError, toAppError } from '../../lib/errors.ts'
import { explained, type WhyNoRedis } from '../../jobs/redis/redis.ts'
import { validationProblems } from './validation-errors.ts'

export const PROBLEM_MEDIA_TYPE = 'application/problem+json; charset=utf-8'

/** What a download that fails before its first byte had said of itself. */
const OF_DOWNLOADS = ['etag', 'accept-ranges', 'content-disposition'] as const

/** Seconds after which a client may try again when the error itself names no time. */
const DEFAULT_RETRY_AFTER_SECONDS = 2

/** How Fastify's own refusals read in layerd's codes; what is not listed goes by its status. */
const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_BAD_URL: 'REQUEST_INVALID',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_CTP_BODY_TOO_LARGE: 'PAYLOAD_TOO_LARGE',
  FST_ERR_CTP_INVALID_JSON_BODY: 'BODY_INVALID',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'BODY_INVALID',
}

export interface ProblemOptions {
  whyNoRedis?: WhyNoRedis | undefined
}

/**
 * Every answer that is not a success is an RFC 9457 problem document: refusals of the framework, of the schemas and of
 * layerd itself, unknown addresses and methods. INTERNAL hides its cause from the client and logs it.
 */
export const problemPlugin = fastifyPlugin(
  async (app: FastifyInstance, { whyNoRedis }: ProblemOptions) => {
    const routes = collectRoutes(app)
    app.setErrorHandler<FastifyError>(async (error, request, reply) =>
      sendProblem(await explained(error, whyNoRedis), request, reply),
    )
    app.setNotFoundHandler((request, reply) => {
      const allowed = routes.methodsAt(pathOf(request))
      if (allowed.length === 0) {
        throw new AppError('NOT_FOUND', `there is nothing at ${pathOf(request)}`, {
          hint: 'GET / lists what is served here; /docs describes each address.',
        })
      }
      void reply.header('allow', allowed.join(', '))
      throw new AppError('METHOD_NOT_ALLOWED', `${pathOf(request)} does not take ${request.method}`, {
        hint: `It takes ${allowed.join(', ')}.`,
      })
    })
  },
  { name: 'problem', fastify: '5.x' },
)

/** Answers with the error's problem document; also for errors from before routing (`frameworkErrors`). */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const error = translate(thrown)
  request.problemCode = error.code
  const problem = problemOf(error, { instance: pathOf(request), requestId: request.id })
  if (error.code === 'INTERNAL') request.log.error({ err: error.cause ?? error }, 'request failed')
  else request.log.debug({ code: error.code, status: problem.status }, 'request refused')
  if (error.code === 'UNAUTHENTICATED' && !reply.hasHeader('www-authenticate')) {
    // A token was there: what ended while it was used.
    void reply.header('www-authenticate', 'Bearer realm="layerd", error="invalid_token"')
  }
  // What is still to come is not waited for.
  if (error.code === 'BODY_TOO_SLOW') void reply.header('connection', 'close')
  if (problem.status === 503 || error.retryAfterMs !== undefined) {
    const seconds =
      error.retryAfterMs === undefined ? DEFAULT_RETRY_AFTER_SECONDS : Math.ceil(error.retryAfterMs / 1000)
    void reply.header('retry-after', String(seconds))
  }
  for (const name of OF_DOWNLOADS) void reply.removeHeader(name)
  if (error.code !== 'RANGE_NOT_SATISFIABLE') void reply.removeHeader('content-range')
  // Serialised here: a route's response schemas describe its successes and must not cut a problem's members.
  return (
    reply
      .code(problem.status)
      .header('cache-control', 'no-store')
      // Also where no route and so no hook was reached.
      .header('x-content-type-options', 'nosniff')
      .type(PROBLEM_MEDIA_TYPE)
      .serializer(String)
      .send(JSON.stringify(problem))
  )
}

export function problemOf(error: AppError, context: { instance?: string; requestId?: string }): Problem {
  const { status, title } = ERROR_CODES[error.code]
  const hidden = error.code === 'INTERNAL'
  const { errors, pointer, ...details } = (hidden ? {} : (error.details ?? {})) as {
    errors?: Problem['errors']
    pointer?: string
  } & Record<string, unknown>
  const detail = hidden
    ? 'The request failed inside layerd; its log has the cause under this request id.'
    : error.message
  const listed = errors ?? (pointer === undefined ? undefined : [{ pointer, detail, code: error.code }])
  return {
    type: `/docs/errors#${error.code}`,
    title,
    status,
    detail,
    code: error.code,
    retryable: error.retry === 'transient',
    ...defined({ ...context, hint: error.hint, op: error.op, side: error.side, upstream: error.upstream }),
    ...(Object.keys(details).length === 0 ? {} : { details }),
    ...(listed === undefined ? {} : { errors: listed }),
  }
}

function translate(thrown: unknown): AppError {
  if (isAppError(thrown)) return thrown
  const error = thrown as Partial<FastifyError>
  if (error.validation) return validationProblems(error.validation, error.validationContext ?? 'body')
  const known = FASTIFY_CODES[error.code ?? '']
  if (known !== undefined) return new AppError(known, plain(error), { cause: thrown })
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) return new AppError('REQUEST_INVALID', plain(error), { cause: thrown })
  return toAppError(thrown)
}

function plain(error: Partial<FastifyError>): string {
  // Its own text has the whole address, and so the secret of a link.
  if (error.code === 'FST_ERR_BAD_URL') return 'the path is not encoded as RFC 3986 says'
  return error.message ?? 'the request cannot be read'
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '/'
}

function defined<T extends Record<string, unknown>>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never
}

/** Remembers each route's pattern, so that a known address with another method is a 405 and not a 404. */
function collectRoutes(app: FastifyInstance): { methodsAt(path: string): string[] } {
  const routes: Array<{ segments: string[]; methods: string[] }> = []
  app.addHook('onRoute', ({ url, method }) => {
    if (!url.includes('*')) routes.push({ segments: url.split('/'), methods: [method].flat() })
  })
  return {
    methodsAt: (path) => {
      const found = routes.filter((route) => matches(route.segments, path.split('/')))
      return [...new Set(found.flatMap((route) => route.methods))].toSorted()
    },
  }
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  return (
    pattern.length === path.length &&
    pattern.every((segment, at) => (segment.startsWith(':') ? path[at] !== '' : segment === path[at]))
  )
}
