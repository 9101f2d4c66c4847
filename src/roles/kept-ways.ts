import { registryPlaceId } from '../content/reference.ts'
import type { RegistryRecord } from '../jobs/model/registry-record.ts'
import { isSameWay, COMMON_WAY as NO_WAY, type WaySettings } from '../jobs/model/registry-way.ts'
import type { RegistryRecords } from '../jobs/registries/registry-records.ts'
import { COMMON_WAY, type RegistryWay, registryWay } from '../oci/connections.ts'

/** How one caller reaches registries that something is kept of. */
export interface KeptWays {
  readonly plainHttp: (registry: string) => boolean
  /** Throws CREDENTIALS_INVALID where what is kept cannot be opened. */
  readonly way: (registry: string) => RegistryWay
  /** `host[:port][/path]`. */
  readonly mirror: (registry: string) => string | undefined
  /** Somebody said by now that it is to be reached another way. */
  readonly isLeft: (registry: string) => boolean
  /** Who keeps it chose whom to believe, or who stands between: a password that was not given for that is not shown there. */
  readonly isChosen: (registry: string) => boolean
}

/** As known when each registry is first asked for: a caller goes one way for as long as it lives. */
export function keptWays(records: RegistryRecords | undefined): KeptWays {
  const seen = new Map<string, RegistryRecord | undefined>()
  const recordOf = (registry: string): RegistryRecord | undefined => {
    if (!seen.has(registry)) seen.set(registry, records?.known(registry))
    return seen.get(registry)
  }
  const ways = new Map<string, RegistryWay>()
  return {
    plainHttp: (registry) => recordOf(registry)?.plainHttp === true,
    way(registry) {
      const record = recordOf(registry)
      if (!records || !record) return COMMON_WAY
      const way = ways.get(registry) ?? wayOf(record, records)
      ways.set(registry, way)
      return way
    },
    mirror: (registry) => recordOf(registry)?.way.mirror ?? undefined,
    isLeft: (registry) => !isSameWay(recordOf(registry) ?? UNKNOWN, records?.known(registry) ?? UNKNOWN),
    isChosen(registry) {
      const { ca = null, proxy = null } = recordOf(registry)?.way ?? {}
      return ca !== null || (proxy !== null && proxy !== 'direct')
    },
  }
}

/** A registry that nothing is kept of. */
export const UNKNOWN = { plainHttp: false, way: NO_WAY }

function wayOf(record: RegistryRecord, records: RegistryRecords): RegistryWay {
  const { ca, clientCertificate } = record.way
  const { key, proxy } = records.waySecretsOf(record)
  return registryWay({
    place: placeOf(record.host),
    ...(ca === null ? {} : { ca }),
    ...(clientCertificate === null || key === undefined
      ? {}
      : { clientCertificate: { certificate: clientCertificate, key } }),
    ...(proxy === undefined ? {} : { proxy }),
  })
}

/** As a request has it. */
export function requestWay(registry: string, { ca, clientCertificate, proxy }: WaySettings): RegistryWay {
  return registryWay({
    place: `${placeOf(registry)}/ping`,
    ...(ca === null ? {} : { ca }),
    ...(clientCertificate ? { clientCertificate } : {}),
    ...(proxy === null ? {} : { proxy }),
  })
}

/** Where what is kept of a registry is found, for people. */
export function placeOf(host: string): string {
  return `/v1/registries/${registryPlaceId(host)}`
}
