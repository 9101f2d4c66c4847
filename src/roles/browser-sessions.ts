import type { Authenticator } from '../access/authenticator.ts'
import type { CodeFlow } from '../access/oidc/code-flow.ts'
import { createSessions, type Sessions, withSessions } from '../access/sessions.ts'
import type { AppOptions } from '../http/app.ts'
import type { AccessConnection } from '../jobs/access/connection.ts'
import { createLogInSeal } from '../jobs/access/log-in-seal.ts'
import { createSessionRecords, type SessionRecordsOptions } from '../jobs/access/session-records.ts'

export interface OpenedSessions {
  /** Knows sessions beside tokens. */
  readonly authenticator: Authenticator
  /** Undefined: no token is required. */
  readonly sessions: Sessions | undefined
  /** Undefined: no issuer lets browsers in. */
  readonly logIn: AppOptions['logIn']
}

export interface SessionsAccess {
  /** Of tokens. */
  authenticator: Authenticator
  codeFlow?: CodeFlow | undefined
}

export interface SessionsShared extends Pick<SessionRecordsOptions, 'clock'> {
  /** Seals log-ins under way. */
  secretKey: Parameters<typeof createLogInSeal>[0]
}

/** What browsers have instead of tokens, where tokens are required. */
export function openSessions(
  connection: AccessConnection,
  { authenticator: tokens, codeFlow }: SessionsAccess,
  { secretKey, ...timed }: SessionsShared,
): OpenedSessions {
  if (!tokens.required) return { authenticator: tokens, sessions: undefined, logIn: undefined }
  const sessions = createSessions({ ...timed, records: createSessionRecords(connection, timed), tokens })
  const logIn = codeFlow && { flow: codeFlow, seal: createLogInSeal(secretKey) }
  return { authenticator: withSessions(tokens, sessions), sessions, logIn }
}
