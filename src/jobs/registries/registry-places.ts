import { formatRegistryPlace, parseRegistryPlace, registryId } from '../../content/reference.ts'
import type { RegistryLimits, RegistrySettings } from '../model/registry-record.ts'
import { COMMON_WAY } from '../model/registry-way.ts'
import type { Kept, KeptRegistries } from './kept-registries.ts'

/** A registry or a path of one, in the one form under which it is kept. */
export function placeOf(place: string): string {
  return formatRegistryPlace(parseRegistryPlace(place))
}

/** Of what is kept with credentials, that with the longest path that begins the repository, and the registry's own last. */
export function nearestTo(kept: KeptRegistries, registry: string, repository: string): Kept | undefined {
  const parts = [registryId(registry), ...repository.split('/')]
  const places = parts.map((_, less) => parts.slice(0, parts.length - less).join('/'))
  return places.map((place) => kept.known(place)).find((one) => one?.credentials)
}

/** What a registry is asked for at most; `host` as a URL has it too, without the port of its scheme. */
export function limitsAt(kept: KeptRegistries, host: string): RegistryLimits | undefined {
  const id = registryId(host)
  const one = kept.known(id) ?? kept.known(`${id}:443`) ?? kept.known(`${id}:80`)
  return one?.limits ?? undefined
}

/** Credentials of a path go the way of its registry, as that is when they are given. */
export function onItsWay(kept: KeptRegistries, place: string, settings: RegistrySettings): RegistrySettings {
  const { registry, path } = parseRegistryPlace(place)
  if (path === '') return settings
  const { plainHttp = false, way = COMMON_WAY } = kept.known(registry) ?? {}
  return { ...settings, plainHttp, way: { ...way, clientCertificate: null } }
}
