import type { Server } from 'node:http'
import type { CodeFlow } from '../../access/oidc/code-flow.ts'
import type { Seal } from '../../access/seal.ts'
import type { Sessions } from '../../access/sessions.ts'
import { AppError } from '../../lib/errors.ts'
import { createBrowserCookies } from './browser-cookie.ts'
import { type BrowserSessions, createBrowserSessions } from './browser-sessions.ts'
import { createLogInFlow, type LogInFlow } from './log-in-flow.ts'

/** What logs browsers in at an OIDC issuer. */
export interface LogIn {
  readonly flow: CodeFlow
  readonly seal: Seal
}

/** What is there for browsers. */
export interface Browsers {
  readonly sessions: BrowserSessions
  /** Undefined: tokens alone let in. */
  readonly logIn: LogInFlow | undefined
}

export interface BrowsersOptions {
  sessions?: Sessions | undefined
  logIn?: LogIn | undefined
  /** LAYERD_PUBLIC_URL. */
  publicUrl?: string | undefined
}

/** Undefined where there are no sessions. */
export function createBrowsers(options: BrowsersOptions, server: Pick<Server, 'address'>): Browsers | undefined {
  const { sessions, logIn, publicUrl } = options
  if (!sessions) return undefined
  const cookies = createBrowserCookies(publicUrl, server)
  return {
    sessions: createBrowserSessions({ sessions, publicUrl, cookie: cookies('session', 'strict') }),
    // The way back from the issuer is a link from another site.
    logIn: logIn && createLogInFlow({ ...logIn, publicUrl, cookie: cookies('log-in', 'lax') }),
  }
}

/** What there is to say where there are none. */
export function notNeeded(): AppError {
  return new AppError(
    'LOG_IN_NOT_NEEDED',
    'this layerd requires no token, so there is nothing to log in to or out of',
    {
      hint: 'Send requests as they are. LAYERD_TOKENS_FILE or LAYERD_OIDC_ISSUER makes layerd require tokens.',
    },
  )
}
