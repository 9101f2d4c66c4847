import { registryKey } from '../facts/registry-name.ts'
import type { CredentialProvider } from './provider.ts'
import { type RegistrySecret, toCredential } from './secret.ts'

/** One secret for one registry, such as a job brings in X-Registry-Auth; every other registry stays anonymous. */
export function fixedCredentials(registry: string, secret: RegistrySecret): CredentialProvider {
  const key = registryKey(registry)
  const given = toCredential(secret)
  const entry = given && { id: 'given', source: 'X-Registry-Auth', given, credential: async () => given }
  return { find: async (place) => (registryKey(place.registry) === key ? entry : undefined) }
}
