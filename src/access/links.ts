import { type Clock, systemClock } from '../lib/clock.ts'
import type { Authenticator } from './authenticator.ts'
import { ANONYMOUS, type Principal } from './principal.ts'
import { hasScope } from './scopes.ts'
import { isSecret, newSecret, secretId } from './secret.ts'

/** What a link leads to: one archive, or one part of it. */
export interface LinkTarget {
  /** Of the stored package. */
  readonly digest: string
  readonly choice: {
    readonly components?: readonly string[]
    readonly images?: readonly string[]
    readonly metadataOnly?: boolean
  }
}

/** A link as it is kept. */
export interface KeptLink extends LinkTarget {
  /** Of its secret (secret.ts): it opens nothing. */
  readonly id: string
  /** Who made it, and what let them in. */
  readonly owner: string
  readonly credential: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** Where links are kept; they go by themselves when they expire. */
export interface LinkRecords {
  /** Throws LINKS_TOO_MANY. */
  add(link: KeptLink): Promise<void>
  get(id: string): Promise<KeptLink | undefined>
}

/** Downloads that need no other credential than a secret in their address. */
export interface DownloadLinks {
  /** Ends with `maker`'s credential, at the latest after so long. Throws LINKS_TOO_MANY. */
  make(maker: Principal, target: LinkTarget, ms: number): Promise<{ secret: string; expiresAt: number }>
  /** What the secret leads to, and who made it, as what let them in lets them now. Undefined: to nothing, any more. */
  open(secret: string): Promise<OpenedLink | undefined>
}

export interface OpenedLink extends LinkTarget {
  readonly maker: Principal
}

export function createDownloadLinks({
  records,
  authenticator,
  clock = systemClock,
}: {
  records: LinkRecords
  authenticator: Pick<Authenticator, 'required' | 'current'>
  clock?: Pick<Clock, 'now'>
}): DownloadLinks {
  const current = async (credential: string): Promise<Principal | undefined> => {
    if (authenticator.required) return await authenticator.current(credential)
    return credential === ANONYMOUS.credential ? ANONYMOUS : undefined
  }
  return {
    async make({ name: owner, credential, expiresAt: end = Number.POSITIVE_INFINITY }, { digest, choice }, ms) {
      const secret = newSecret()
      const expiresAt = Math.min(clock.now() + ms, end)
      await records.add({ id: secretId(secret), owner, credential, digest, choice, expiresAt })
      return { secret, expiresAt }
    },
    async open(secret) {
      const link = isSecret(secret) ? await records.get(secretId(secret)) : undefined
      if (!link || link.expiresAt <= clock.now()) return undefined
      const maker = await current(link.credential)
      if (maker?.name !== link.owner || !hasScope(maker, 'packages:read')) return undefined
      return { digest: link.digest, choice: link.choice, maker }
    },
  }
}
