import type { Principal } from './principal.ts'

/** One kind of tokens: those of the file, those that layerd issued, those of an OIDC issuer. */
export interface TokenSource {
  /** What the credentials of its principals begin with. */
  readonly kind: string
  /** Whose token this is; undefined: none of its own, or none any more. */
  authenticate(token: string): Promise<Principal | undefined>
  /** What a credential of its kind lets in now; undefined once it is revoked or has expired. */
  current(credential: string): Promise<Principal | undefined>
  /** Whether a name is of its principals for good, so that nobody else may get it. Default: none is. */
  reserves?(name: string): Promise<boolean>
  /** Tells that some credential may have ended, in any process; returns what ends the telling. */
  onChange(listener: () => void): () => void
}

/** Who is who. Everybody is let in as `anonymous` where nothing is `required`. */
export interface Authenticator extends Omit<TokenSource, 'kind'> {
  readonly required: boolean
}

/** Asks each source in turn. None: nothing is required. */
export function createAuthenticator(sources: readonly TokenSource[]): Authenticator {
  return {
    required: sources.length > 0,
    async authenticate(token) {
      for (const source of sources) {
        const principal = await source.authenticate(token)
        if (principal) return principal
      }
      return undefined
    },
    async current(credential) {
      const kind = credential.slice(0, credential.indexOf(':'))
      return await sources.find((source) => source.kind === kind)?.current(credential)
    },
    async reserves(name) {
      const answers = await Promise.all(sources.map(async (source) => source.reserves?.(name)))
      return answers.includes(true)
    },
    onChange: (listener) => hearAll(sources, listener),
  }
}

/** Tells what any of them tells; returns what ends the telling. */
export function hearAll(sources: ReadonlyArray<Pick<TokenSource, 'onChange'>>, listener: () => void): () => void {
  const stops = sources.map((source) => source.onChange(listener))
  return () => {
    for (const stop of stops) stop()
  }
}
