import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AppError, ERROR_CODES, isAppError } from '../../../lib/errors.ts'
import { type Browsers, notNeeded } from '../../access/browsers.ts'
import { isLocalPath } from '../../access/local-path.ts'
import { CALLBACK, type LogInFlow } from '../../access/log-in-flow.ts'
import { acceptsByName } from '../../answers/accept.ts'
import { escaped, htmlPage, sendPage } from '../../answers/html-page.ts'
import { finishLogInSchema, logInSchema } from '../../schemas/session.ts'

export interface LogInRoutesOptions {
  browsers: Browsers | undefined
}

const LOG_IN = '/v1/session/login'
/** A request to look whether they are there would use up what can be used once. */
const COMMON = { config: { scope: 'log-in' }, exposeHeadRoute: false, errorHandler: sendErrorPage } as const

/** Log-in at the OIDC issuer: there and back. Both are opened by links, the second one by the issuer's. */
export const logInRoutes: FastifyPluginAsyncTypebox<LogInRoutesOptions> = async (app, { browsers }) => {
  app.get(LOG_IN, { schema: logInSchema, ...COMMON }, async (request, reply) => {
    await request.limitAddress(reply)
    const { logIn } = required(browsers)
    const { returnTo = '/' } = request.query
    if (!isLocalPath(returnTo)) throw notLocal()
    void reply.header('cache-control', 'no-store')
    return reply.redirect(await logIn.begin(returnTo, request, reply), 302)
  })

  const config = { scope: 'log-in', auditReads: true } as const
  app.get(CALLBACK, { schema: finishLogInSchema, ...COMMON, config }, async (request, reply) => {
    await request.limitAddress(reply)
    const { logIn, sessions } = required(browsers)
    const { principal, returnTo } = await logIn.finish(request.query, request, reply)
    const begun = await sessions.begin(principal, request, reply)
    request.auditedAs = begun
    request.log.info({ principal: begun.name }, 'logged in')
    return sendOnce(reply, goesOn(begun.name, returnTo))
  })
}

/** Throws LOG_IN_NOT_NEEDED, NOT_FOUND. */
function required(browsers: Browsers | undefined): { logIn: LogInFlow; sessions: Browsers['sessions'] } {
  if (!browsers) throw notNeeded()
  const { logIn, sessions } = browsers
  if (logIn) return { logIn, sessions }
  throw new AppError('NOT_FOUND', 'no OIDC issuer lets browsers in here', {
    hint: 'Log in with a token: POST /v1/session. Whoever runs layerd sets LAYERD_OIDC_ISSUER and LAYERD_OIDC_CLIENT_ID.',
  })
}

/**
 * A redirect would still be the other site's doing, and a browser sends no cookie along with it that is SameSite=Strict: so a page of
 * ours goes on. Source: RFC 6265bis 5.2.
 */
function goesOn(name: string, returnTo: string): string {
  const to = escaped(returnTo)
  const body = `<p>Logged in as ${escaped(name)}. <a href="${to}">Go on</a></p>`
  return htmlPage('Logged in', body, `<meta http-equiv="refresh" content="0; url=${to}">`)
}

/** For who sees it; programs get the problem. */
function sendErrorPage(error: unknown, request: FastifyRequest, reply: FastifyReply): unknown {
  if (!isAppError(error) || !acceptsByName(request.headers.accept, 'text/html')) throw error
  const { status, title } = ERROR_CODES[error.code]
  request.problemCode = error.code
  if (status >= 500) request.log.warn({ err: error }, 'log-in failed')
  const hint = error.hint === undefined ? '' : `<p>${escaped(error.hint)}</p>`
  const body = `<h1>${escaped(title)}</h1>\n<p>${escaped(error.message)}</p>\n${hint}<p><a href="${LOG_IN}">Log in again</a></p>`
  return sendOnce(reply.code(status), htmlPage('Not logged in', body))
}

/** Its address has the code, which goes neither into a cache nor to the next page. */
function sendOnce(reply: FastifyReply, page: string): never {
  void reply.header('cache-control', 'no-store').header('referrer-policy', 'no-referrer')
  return sendPage(reply, page)
}

function notLocal(): AppError {
  return new AppError('REQUEST_INVALID', 'returnTo is no path of layerd', {
    hint: 'Name a path that begins with one /, of 1,000 characters at most, and not one of the log-in itself.',
  })
}
