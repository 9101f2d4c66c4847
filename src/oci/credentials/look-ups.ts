import { untilAborted } from '../../lib/abort.ts'
import { isAppError } from '../../lib/errors.ts'
import type {
  CredentialEntry,
  CredentialLookUp,
  CredentialPlace,
  CredentialProvider,
  RegistryCredential,
} from './provider.ts'

/** The credential of one caller for one repository. */
export interface PlacedCredential {
  /** Equal for repositories of one registry that have the same. */
  readonly id: string
  /** A function where it is yet to be looked up. */
  readonly credential: RegistryCredential | CredentialLookUp | undefined
  /** Reads files again and asks helpers again. */
  readonly renew: CredentialLookUp
}

/** Throws CREDENTIALS_INVALID where a file is broken. */
export type CredentialLookUps = (place: CredentialPlace) => Promise<PlacedCredential>

/**
 * The credentials of one caller, each looked up once for all of its repositories, however many ask at once. What failed for a
 * moment is looked up anew by who asks next. `signal` ends helpers that run.
 */
export function createLookUps(provider: CredentialProvider, signal: AbortSignal): CredentialLookUps {
  const places = new Map<string, Promise<PlacedCredential>>()
  const found = new Map<string, Promise<RegistryCredential | undefined>>()

  const ask = (
    name: string,
    entry: CredentialEntry,
    refused?: RegistryCredential,
  ): Promise<RegistryCredential | undefined> => {
    const asked = entry.credential(signal, refused)
    found.set(name, asked)
    asked.catch((error: unknown) => {
      const stays = isAppError(error) && error.retry === 'permanent'
      if (!stays && found.get(name) === asked) found.delete(name)
    })
    return asked
  }
  const placed = async (place: CredentialPlace): Promise<PlacedCredential> => {
    const nameOf = (entry: CredentialEntry) => JSON.stringify([place.registry, entry.id])
    const entry = await provider.find(place)
    const lookUp: CredentialLookUp | undefined =
      entry && ((waiting) => untilAborted(found.get(nameOf(entry)) ?? ask(nameOf(entry), entry), waiting))
    return {
      id: entry?.id ?? '',
      credential: entry?.given ?? lookUp,
      async renew(waiting, refused) {
        const now = await provider.find(place)
        return now && untilAborted(ask(nameOf(now), now, refused), waiting)
      },
    }
  }
  return (place) => {
    const name = `${place.registry}/${place.repository}`
    const known = places.get(name) ?? placed(place)
    places.set(name, known)
    known.catch(() => places.delete(name))
    return known
  }
}
