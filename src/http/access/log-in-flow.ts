import type { FastifyReply, FastifyRequest } from 'fastify'
import type { CodeFlow, FlowState } from '../../access/oidc/code-flow.ts'
import type { Principal } from '../../access/principal.ts'
import type { Seal } from '../../access/seal.ts'
import { type Clock, systemClock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import { isLoopback } from '../../lib/loopback.ts'
import { visible } from '../../lib/text.ts'
import type { BrowserCookie } from './browser-cookie.ts'

/** What an issuer sends a browser back with. */
export interface FlowAnswer {
  readonly code?: string | undefined
  readonly state?: string | undefined
  readonly error?: string | undefined
  readonly error_description?: string | undefined
}

/** A browser's way to the OIDC issuer and back, which a cookie of ten minutes remembers. */
export interface LogInFlow {
  /** Where the browser is to go. Throws ISSUER_UNAVAILABLE, CONFIG_INVALID. */
  begin(returnTo: string, request: FastifyRequest, reply: FastifyReply): Promise<string>
  /** Who came back. Throws UNAUTHENTICATED, SCOPE_MISSING, and as `CodeFlow`. */
  finish(
    answer: FlowAnswer,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<{ principal: Principal; returnTo: string }>
}

export interface LogInFlowOptions {
  flow: CodeFlow
  seal: Seal
  cookie: BrowserCookie
  /** LAYERD_PUBLIC_URL. */
  publicUrl: string | undefined
  clock?: Clock
}

/** What is sealed into the cookie: nothing is kept for who has not logged in yet. */
interface Begun {
  readonly state: FlowState
  readonly redirectUri: string
  readonly returnTo: string
  /** ms since 1970. */
  readonly until: number
}

export const CALLBACK = '/v1/session/callback'
const LASTS_MS = 600_000
const MAX_TOLD = 300

export function createLogInFlow({ flow, seal, cookie, publicUrl, clock = systemClock }: LogInFlowOptions): LogInFlow {
  return {
    async begin(returnTo, request, reply) {
      const redirectUri = originOf(request, publicUrl) + CALLBACK
      const { url, state } = await flow.begin({ redirectUri })
      const begun: Begun = { state, redirectUri, returnTo, until: clock.now() + LASTS_MS }
      cookie.set(reply, seal.seal(begun), LASTS_MS)
      return url
    },
    async finish(answer, request, reply) {
      const sealed = cookie.read(request)
      const begun = sealed === undefined ? undefined : (seal.open(sealed) as Begun | undefined)
      if (begun === undefined || begun.until <= clock.now() || begun.state.state !== answer.state) throw notBegun()
      cookie.clear(reply)
      if (answer.code === undefined || answer.error !== undefined) throw refused(answer)
      const { state, redirectUri, returnTo } = begun
      const principal = await flow.finish({ code: answer.code, redirectUri, state })
      if (principal.scopes.size === 0) throw mayNothing(principal)
      return { principal, returnTo }
    },
  }
}

/** By the Host alone nobody else's name may become ours. Throws CONFIG_INVALID. */
function originOf({ headers: { host = '' } }: FastifyRequest, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return new URL(publicUrl).origin
  const own = URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : undefined
  if (own && isLoopback(own.hostname)) return own.origin
  throw new AppError('CONFIG_INVALID', 'layerd does not know by which address browsers reach it', {
    hint: 'Whoever runs layerd sets LAYERD_PUBLIC_URL; the issuer sends browsers back there.',
  })
}

function notBegun(): AppError {
  return new AppError(
    'UNAUTHENTICATED',
    'this log-in was begun in another browser, more than ten minutes ago, or twice',
    {
      hint: 'Log in again, and at the address by which layerd is called.',
    },
  )
}

/** Told to whom the issuer answers alone: whoever makes up a link can say nothing here. */
function refused({ error, error_description: description }: FlowAnswer): AppError {
  const told = [error ?? 'it gave no code', description ?? []].flat().map((text) => visible(text.slice(0, MAX_TOLD)))
  return new AppError('UNAUTHENTICATED', `the issuer refused the log-in: ${told.join(': ')}`, { hint: 'Log in again.' })
}

function mayNothing({ name }: Principal): AppError {
  return new AppError('SCOPE_MISSING', `"${name}" is in no group that may do anything here`, {
    hint: 'Whoever runs layerd says in LAYERD_OIDC_GROUPS_FILE what groups may.',
  })
}
