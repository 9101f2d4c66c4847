import type { Authenticator } from '../access/authenticator.ts'
import type { CodeFlow } from '../access/oidc/code-flow.ts'
import { createSessions, type Sessions, withSessions } from '../access/sessions.ts'
import type { AppOptions } from '../http/app.ts'
import { createLogInSeal } from '../jobs/access/log-in-seal.ts'
import { createSessionRecords, type SessionRecordsOptions } from '../jobs/access/session-records.ts'

export interface OpenedSessions {
  /** Knows sessions beside tokens. */
  readonly authenticator: Authenticator
  /** Undefined: no token is required. */
  readonly sessions: Sessions | undefined
  /** Undefined: no issuer lets browsers in. */
  readonly logIn: AppOptions['logIn']
  closeSessions: () => void
}

export interface SessionsAccess {
  /** Of tokens. */
  authenticator: Authenticator
  codeFlow?: CodeFlow | undefined
}

/** What all of Redis is opened with, and what seals. */
export type SessionsShared = Omit<SessionRecordsOptions, 'role'> & { secretKey: Parameters<typeof createLogInSeal>[0] }

/** What browsers have instead of tokens. Opens connections to Redis where tokens are required. */
export function openSessions(
  { authenticator: tokens, codeFlow }: SessionsAccess,
  shared: SessionsShared,
): OpenedSessions {
  const closed = { sessions: undefined, logIn: undefined, closeSessions: () => undefined }
  if (!tokens.required) return { authenticator: tokens, ...closed }
  const records = createSessionRecords({ ...shared, role: 'starting' })
  const sessions = createSessions({ ...shared, records, tokens })
  const logIn = codeFlow && { flow: codeFlow, seal: createLogInSeal(shared.secretKey) }
  return { authenticator: withSessions(tokens, sessions), sessions, logIn, closeSessions: () => records.close() }
}
