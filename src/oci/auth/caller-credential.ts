import { throwIfAborted, untilAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { isAppError } from '../../lib/errors.ts'
import { createSingleFlight } from '../../lib/single-flight.ts'
import type { CredentialLookUp, RegistryCredential } from '../credentials/provider.ts'
import { credentialId } from './token-cache.ts'

/** The credential of one caller at one registry, which is looked up once the registry wants one. */
export interface CallerCredential {
  /** As far as it is known: undefined is anonymous, or not looked up yet. */
  readonly current: RegistryCredential | undefined
  /** How often it was replaced. */
  readonly age: number
  /** False once a look-up has failed, until one succeeds: then nothing is asked for ahead. */
  readonly mayBeFound: boolean
  /** After a challenge. Throws CREDENTIALS_INVALID. */
  find(signal: AbortSignal): Promise<RegistryCredential | undefined>
  /**
   * For a registry that is known to ask. Undefined where it cannot be found: this request may be one that it lets in without,
   * and what is wrong is told once it was refused.
   */
  findAhead(signal: AbortSignal): Promise<{ credential: RegistryCredential | undefined } | undefined>
  /** It was refused at this `age`; true where there is another one by now. Throws CREDENTIALS_INVALID. */
  renew(age: number, signal: AbortSignal): Promise<boolean>
}

export interface CallerCredentialOptions {
  credential: RegistryCredential | CredentialLookUp | undefined
  renew: CredentialLookUp | undefined
  clock: Clock
  /** Told before a credential is used for the first time. */
  onFound: (credential: RegistryCredential | undefined) => void
}

export function createCallerCredential({
  credential,
  renew,
  clock,
  onFound,
}: CallerCredentialOptions): CallerCredential {
  const held = createHeld({ renew, onFound })
  let hasFailed = false
  if (typeof credential !== 'function') held.set(credential)

  const lookUp = async (signal: AbortSignal): Promise<Found> => {
    // What still holds serves where no other can be had now.
    if (renew && isStale(held.found?.credential, clock.now())) {
      await held.replace(undefined, signal).catch(() => throwIfAborted(signal))
    }
    if (held.found || typeof credential !== 'function') return held.found ?? held.set(undefined)
    try {
      const next = await credential(signal)
      hasFailed = false
      // Somebody else may have been quicker, and its credential renewed by now.
      return held.found ?? held.set(next)
    } catch (error) {
      hasFailed ||= isBroken(error)
      throw error
    }
  }
  return {
    get current() {
      return held.found?.credential
    },
    get age() {
      return held.age
    },
    get mayBeFound() {
      return held.found !== undefined || !hasFailed
    },
    find: async (signal) => (await lookUp(signal)).credential,
    async findAhead(signal) {
      if (!held.found && hasFailed) return undefined
      try {
        return await lookUp(signal)
      } catch (error) {
        if (isBroken(error)) return undefined
        throw error
      }
    },
    async renew(refusedAge, signal) {
      if (refusedAge !== held.age) return true
      return renew !== undefined && (await held.replace(held.found?.credential, signal))
    },
  }
}

interface Found {
  readonly credential: RegistryCredential | undefined
}

/** What was found, until another takes its place. */
function createHeld({ renew, onFound }: Pick<CallerCredentialOptions, 'renew' | 'onFound'>) {
  let found: Found | undefined
  let age = 0
  const renewals = createSingleFlight<boolean>()
  const set = (next: RegistryCredential | undefined): Found => {
    onFound(next)
    return (found = { credential: next })
  }
  // Shared by requests that may end one by one; what runs for it ends with its caller.
  const unending = new AbortController().signal
  const another = async (refused: RegistryCredential | undefined): Promise<boolean> => {
    const next = await renew?.(unending, refused)
    if (credentialId(next) === credentialId(found?.credential)) return false
    set(next)
    age += 1
    return true
  }
  return {
    get found() {
      return found
    },
    get age() {
      return age
    },
    set,
    /** `refused`: undefined where it only is stale. True where there is another one by now. */
    replace: (refused: RegistryCredential | undefined, signal: AbortSignal): Promise<boolean> =>
      untilAborted(
        renewals.run(refused ? 'refused' : 'stale', () => another(refused)),
        signal,
      ),
  }
}

function isStale(credential: RegistryCredential | undefined, now: number): boolean {
  return credential !== undefined && credential.kind !== 'bearer' && (credential.staleAt ?? Infinity) <= now
}

/** Not a cancel. */
function isBroken(error: unknown): boolean {
  return isAppError(error) && error.code === 'CREDENTIALS_INVALID'
}
