import { type Clock, systemClock } from '../lib/clock.ts'
import { type Authenticator, hearAll, type TokenSource } from './authenticator.ts'
import type { Principal } from './principal.ts'
import { isSecret, newSecret, secretId } from './secret.ts'

/** A browser's log-in, as it is kept. */
export interface KeptSession {
  /** Of its secret a hash: it tells sessions apart and opens none. */
  readonly id: string
  /** Name of its principal. */
  readonly owner: string
  /** Of the token that it stands for. */
  readonly credential: string
  /** When it ends though it is used, ms since 1970. */
  readonly endsAt: number
}

export interface SessionRecords {
  /** Those of the same owner, and of all, that nobody has used for longest go where there are too many. */
  add(session: KeptSession): Promise<void>
  /** A use, which puts off its idle end. Undefined: it has ended, or never was. */
  use(id: string): Promise<KeptSession | undefined>
  /** The same, and no use. */
  look(id: string): Promise<KeptSession | undefined>
  /** Whether it was there. */
  remove(id: string): Promise<boolean>
  /** Tells that some were taken away, in any process; returns what ends the telling. */
  onChange(listener: () => void): () => void
}

export type SessionPrincipal = Principal & { readonly expiresAt: number }

/** What a browser has instead of a token: a secret of its own, which ends when the token does. No bearer token is one. */
export interface Sessions extends TokenSource {
  /** A new one, whatever there was before. The secret is for the cookie alone. */
  begin(principal: Principal): Promise<{ secret: string; principal: SessionPrincipal }>
  /** Whose cookie this is; undefined where it is nobody's any more. Costs one look-up at most. */
  open(secret: string): Promise<Principal | undefined>
  /** Whether there was one. */
  end(secret: string): Promise<boolean>
}

export interface SessionsOptions {
  records: SessionRecords
  /** Those whose tokens sessions stand for. */
  tokens: Omit<Authenticator, 'authenticate'>
  clock?: Clock
}

const KIND = 'session'
/** However often it is used. */
const LONGEST_MS = 7 * 24 * 3_600_000

export function createSessions({ records, tokens, clock = systemClock }: SessionsOptions): Sessions {
  const principalOf = async (session: KeptSession | undefined): Promise<Principal | undefined> => {
    if (!session) return undefined
    const principal = await tokens.current(session.credential)
    const standing = principal && standingFor(principal, session)
    if (standing && standing.expiresAt > clock.now()) return standing
    await records.remove(session.id)
    return undefined
  }
  return {
    kind: KIND,
    async begin(principal) {
      const secret = newSecret()
      const endsAt = Math.min(clock.now() + LONGEST_MS, principal.expiresAt ?? Number.POSITIVE_INFINITY)
      const session = { id: secretId(secret), owner: principal.name, credential: principal.credential, endsAt }
      await records.add(session)
      return { secret, principal: standingFor(principal, session) }
    },
    open: async (secret) => (isSecret(secret) ? principalOf(await records.use(secretId(secret))) : undefined),
    end: async (secret) => isSecret(secret) && records.remove(secretId(secret)),
    authenticate: async () => undefined,
    current: async (credential) => principalOf(await records.look(credential.slice(KIND.length + 1))),
    onChange: (listener) => records.onChange(listener),
  }
}

/** Knows sessions beside the tokens that they stand for. */
export function withSessions(tokens: Authenticator, sessions: Sessions): Authenticator {
  return {
    ...tokens,
    current: (credential) => (credential.startsWith(`${KIND}:`) ? sessions : tokens).current(credential),
    onChange: (listener) => hearAll([tokens, sessions], listener),
  }
}

function standingFor(principal: Principal, { id, endsAt }: KeptSession): SessionPrincipal {
  const expiresAt = Math.min(endsAt, principal.expiresAt ?? endsAt)
  return { ...principal, credential: `${KIND}:${id}`, expiresAt }
}
