import type { CloudSecret } from '../content/clouds.ts'
import { matchesRepository } from '../content/repository-pattern.ts'
import { parseRegistryPlace } from '../content/reference.ts'
import type { RegistryRecord, RegistrySecret } from '../jobs/model/registry-record.ts'
import { isSameWay } from '../jobs/model/registry-way.ts'
import type { RegistryRecords } from '../jobs/registries/registry-records.ts'
import type { Clouds } from '../oci/credentials/clouds/clouds.ts'
import type { CredentialProvider, RegistryCredential } from '../oci/credentials/provider.ts'
import { keptWays, placeOf, UNKNOWN } from './kept-ways.ts'

/**
 * Those that are kept for a registry, for the repositories that they are kept for, or what its cloud gives for them. Known as of the
 * last refresh.
 */
export function keptCredentials(records: RegistryRecords, clouds: Clouds): CredentialProvider {
  return {
    async find({ registry, repository }) {
      const record = records.nearest(registry, repository)
      if (!record?.credentials || isStale(record, records.known(registry))) return undefined
      const { host, repositories, revision, plainHttp } = record
      const id = `kept ${revision}`
      if (repositories && !repositories.some((pattern) => matchesRepository(pattern, repository))) return undefined
      return {
        id,
        source: placeOf(host),
        async credential(signal, refused) {
          const secret = records.secretOf(record)
          const way = keptWays(records).way(registry)
          const place = { id, registry: parseRegistryPlace(host).registry, plainHttp, way }
          return isOfCloud(secret) ? clouds.credential(place, secret, { refused, signal }) : credentialOf(secret)
        },
      }
    },
  }
}

function isOfCloud(secret: RegistrySecret | undefined): secret is CloudSecret {
  return secret?.kind === 'aws' || secret?.kind === 'google' || secret?.kind === 'azure'
}

/** Credentials of a path that were given for another way to the registry than the one that is kept by now. */
function isStale(record: RegistryRecord, registry: RegistryRecord | undefined): boolean {
  return record.host.includes('/') && !isSameWay(record, registry ?? UNKNOWN)
}

function credentialOf(secret: Exclude<RegistrySecret, CloudSecret> | undefined): RegistryCredential | undefined {
  if (secret === undefined || secret.kind === 'basic') return secret
  if (secret.kind === 'registry') return { kind: 'bearer', token: secret.registryToken }
  return { kind: 'identity', username: secret.username, token: secret.identityToken }
}
