import type { Authenticator } from '../access/authenticator.ts'
import { createSessions, type Sessions, withSessions } from '../access/sessions.ts'
import { createSessionRecords, type SessionRecordsOptions } from '../jobs/access/session-records.ts'

export interface OpenedSessions {
  /** Knows sessions beside tokens. */
  readonly authenticator: Authenticator
  /** Undefined: no token is required. */
  readonly sessions: Sessions | undefined
  closeSessions: () => void
}

/** What browsers have instead of tokens. Opens connections to Redis where tokens are required. */
export function openSessions(tokens: Authenticator, shared: Omit<SessionRecordsOptions, 'role'>): OpenedSessions {
  if (!tokens.required) return { authenticator: tokens, sessions: undefined, closeSessions: () => undefined }
  const records = createSessionRecords({ ...shared, role: 'starting' })
  const sessions = createSessions({ ...shared, records, tokens })
  return { authenticator: withSessions(tokens, sessions), sessions, closeSessions: () => records.close() }
}
