import type { Principal } from './principal.ts'

/** refused: by what the caller may (401, 403) or by a limit (429). failed: for any other reason. */
export const AUDIT_OUTCOMES = ['succeeded', 'refused', 'failed'] as const
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number]

/** What somebody asked for, and what came of it. Of a job: that it was asked for; what became of it is in its own record. */
export interface AuditRecord {
  /** RFC 3339: when it was answered. */
  readonly time: string
  /** Null: nobody knows who. */
  readonly principal: string | null
  readonly credential: AuditCredential | null
  /** Whom the connection is from: behind a proxy the proxy. */
  readonly address: string
  /** The operation, as openapi.yaml calls it; null where no route was reached. */
  readonly action: string | null
  readonly method: string
  /** The route's pattern. */
  readonly route: string | null
  /** What it is about, without a secret: ids, names, references. */
  readonly target: AuditTarget
  readonly outcome: AuditOutcome
  readonly status: number
  /** Of the problem. */
  readonly code: string | null
  readonly requestId: string
}

export type AuditTarget = Readonly<Record<string, string>>

export interface AuditCredential {
  readonly kind: string
  readonly id: string | null
}

/** Takes records; never waits, and never throws. */
export interface AuditRecorder {
  record(entry: AuditRecord): void
}

/** What came to nothing is kept apart: whoever may do little can bring about as much of it as they like. */
export function isDone({ outcome }: Pick<AuditRecord, 'outcome'>): boolean {
  return outcome === 'succeeded'
}

export function outcomeOf(status: number): AuditOutcome {
  if (status < 400) return 'succeeded'
  return status === 401 || status === 403 || status === 429 ? 'refused' : 'failed'
}

/** What let somebody in, as it may be told: other ids than those of issued tokens are nothing that anybody could name. */
export function toldCredential({ credential }: Pick<Principal, 'credential'>): AuditCredential {
  const at = credential.indexOf(':')
  if (at === -1) return { kind: credential, id: null }
  const kind = credential.slice(0, at)
  return { kind, id: kind === 'issued' ? credential.slice(at + 1) : null }
}
