/** What a registry lets in. `identity` is a refresh token, `bearer` a ready-made registry token. oci-client.md A7, A20. */
export type RegistryCredential =
  | ({ readonly kind: 'basic'; readonly username: string; readonly password: string } & Lasting)
  | ({ readonly kind: 'identity'; readonly username: string; readonly token: string } & Lasting)
  | { readonly kind: 'bearer'; readonly token: string }

interface Lasting {
  /** From here on another one is looked up, ms since the epoch. Undefined: once it is refused. */
  readonly staleAt?: number
}

/** Whom a credential is for. `registry`: host[:port] as the reference names it. */
export interface CredentialPlace {
  readonly registry: string
  readonly repository: string
}

/**
 * Undefined is anonymous. `refused`: what was found before, and the registry did not take: who keeps what it derived gets another
 * one. Throws CREDENTIALS_INVALID: transient where another try may find it.
 */
export type CredentialLookUp = (
  signal: AbortSignal,
  refused?: RegistryCredential,
) => Promise<RegistryCredential | undefined>

/** Where the credential of a repository is kept. */
export interface CredentialEntry {
  /** Equal for repositories of one registry that have the same credential; no secret can be read from it. */
  readonly id: string
  /** For people: where it is kept; of several places, where the one that was found last is. */
  readonly source: string
  /** What the caller named for this very registry: nothing has to be asked for it. */
  readonly given?: RegistryCredential
  /** May run a program, so it is called once the registry wants a log-in. */
  readonly credential: CredentialLookUp
}

/**
 * Finds out where the credential of a repository is kept, or undefined where this provider has none. Runs no program, and is
 * asked before the first request. Throws CREDENTIALS_INVALID where a file is broken.
 */
export interface CredentialProvider {
  find(place: CredentialPlace): Promise<CredentialEntry | undefined>
}

/** Of these registries it knows nothing. */
export function withheld(provider: CredentialProvider, from: (registry: string) => boolean): CredentialProvider {
  return { find: async (place) => (from(place.registry) ? undefined : provider.find(place)) }
}

/** Asks one after another; the first that has a credential wins, and those after it are not asked. */
export function chainProviders(...providers: readonly CredentialProvider[]): CredentialProvider {
  return {
    async find(place) {
      const entries: CredentialEntry[] = []
      for (const provider of providers) {
        const entry = await provider.find(place)
        if (entry) entries.push(entry)
        if (entry?.given) break
      }
      return firstOf(entries)
    },
  }
}

/** The entries as one, which are asked one after another. */
export function firstOf(entries: readonly CredentialEntry[]): CredentialEntry | undefined {
  const [first, ...rest] = entries
  if (first === undefined || rest.length === 0) return first
  let last = first
  return {
    id: JSON.stringify(entries.map(({ id }) => id)),
    get source() {
      return last.source
    },
    ...(first.given ? { given: first.given } : {}),
    async credential(signal, refused) {
      for (const entry of entries) {
        const found = await entry.credential(signal, refused)
        last = entry
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}
