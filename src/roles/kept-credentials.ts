import { matchesRepository } from '../content/repository-pattern.ts'
import type { RegistrySecret } from '../jobs/model/registry-record.ts'
import type { RegistryRecords } from '../jobs/registries/registry-records.ts'
import type { CredentialProvider, RegistryCredential } from '../oci/credentials/provider.ts'

/** Those that are kept for a registry, for the repositories that they are kept for. Known as of the last refresh. */
export function keptCredentials(records: RegistryRecords): CredentialProvider {
  return {
    async find({ registry, repository }) {
      const record = records.known(registry)
      if (!record?.credentials) return undefined
      const { host, repositories, revision } = record
      if (repositories && !repositories.some((pattern) => matchesRepository(pattern, repository))) return undefined
      return {
        id: `kept ${revision}`,
        source: `/v1/registries/${encodeURIComponent(host)}`,
        credential: async () => credentialOf(records.secretOf(record)),
      }
    },
  }
}

function credentialOf(secret: RegistrySecret | undefined): RegistryCredential | undefined {
  if (secret === undefined || secret.kind === 'basic') return secret
  if (secret.kind === 'registry') return { kind: 'bearer', token: secret.registryToken }
  return { kind: 'identity', username: secret.username, token: secret.identityToken }
}
