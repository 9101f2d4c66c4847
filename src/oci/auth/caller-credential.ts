import { untilAborted } from '../../lib/abort.ts'
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
  /** Told before a credential is used for the first time. */
  onFound: (credential: RegistryCredential | undefined) => void
}

export function createCallerCredential({ credential, renew, onFound }: CallerCredentialOptions): CallerCredential {
  let found: { credential: RegistryCredential | undefined } | undefined
  let hasFailed = false
  let age = 0
  const renewals = createSingleFlight<boolean>()
  const set = (next: RegistryCredential | undefined): { credential: RegistryCredential | undefined } => {
    onFound(next)
    return (found = { credential: next })
  }
  if (typeof credential !== 'function') set(credential)

  const lookUp = async (signal: AbortSignal) => {
    if (found || typeof credential !== 'function') return found ?? set(undefined)
    try {
      const next = await credential(signal)
      hasFailed = false
      // Somebody else may have been quicker, and its credential renewed by now.
      return found ?? set(next)
    } catch (error) {
      hasFailed ||= isBroken(error)
      throw error
    }
  }
  // Shared by requests that may end one by one; what runs for it ends with its caller.
  const unending = new AbortController().signal
  const replace = async (): Promise<boolean> => {
    const next = await renew?.(unending)
    if (credentialId(next) === credentialId(found?.credential)) return false
    set(next)
    age += 1
    return true
  }
  return {
    get current() {
      return found?.credential
    },
    get age() {
      return age
    },
    get mayBeFound() {
      return found !== undefined || !hasFailed
    },
    find: async (signal) => (await lookUp(signal)).credential,
    async findAhead(signal) {
      if (!found && hasFailed) return undefined
      try {
        return await lookUp(signal)
      } catch (error) {
        if (isBroken(error)) return undefined
        throw error
      }
    },
    async renew(refusedAge, signal) {
      if (refusedAge !== age) return true
      return renew !== undefined && (await untilAborted(renewals.run('', replace), signal))
    },
  }
}

/** Not a cancel. */
function isBroken(error: unknown): boolean {
  return isAppError(error) && error.code === 'CREDENTIALS_INVALID'
}
