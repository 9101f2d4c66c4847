import type { Seal } from '../../access/seal.ts'
import { isAppError } from '../../lib/errors.ts'
import { createVault, type SecretKeys } from '../record/credentials.ts'

/** What it seals is none of a job, and opens as none. */
const NAME = 'log-in'

/** All processes of one layerd open what one of them has sealed. */
export function createLogInSeal(secretKey: SecretKeys): Seal {
  const vault = createVault(secretKey)
  return {
    seal: (value) => Buffer.from(vault.seal(NAME, value), 'base64').toString('base64url'),
    open(text) {
      try {
        return vault.open(NAME, text)
      } catch (error) {
        if (isAppError(error)) return undefined
        throw error
      }
    },
  }
}
