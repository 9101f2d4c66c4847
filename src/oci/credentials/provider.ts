/** What a registry lets in. `identity` is a refresh token, `bearer` a ready-made registry token. oci-client.md A7, A20. */
export type RegistryCredential =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity'; readonly username: string; readonly token: string }
  | { readonly kind: 'bearer'; readonly token: string }

/** Finds the credential for a registry, or undefined for anonymous. Throws CREDENTIALS_INVALID where a file is broken. */
export interface CredentialProvider {
  credential(registry: string, signal: AbortSignal): Promise<RegistryCredential | undefined>
}

/** Of these registries it knows nothing. */
export function withheld(provider: CredentialProvider, from: (registry: string) => boolean): CredentialProvider {
  return {
    credential: async (registry, signal) => (from(registry) ? undefined : provider.credential(registry, signal)),
  }
}

/** Asks one after another; the first that knows the registry wins, and those after it are not asked. */
export function chainProviders(...providers: readonly CredentialProvider[]): CredentialProvider {
  return {
    async credential(registry, signal) {
      for (const provider of providers) {
        const found = await provider.credential(registry, signal)
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}
