import type { SignRequest } from '../transfer/signing.ts'
import type { KeyRing } from '../trust/verification.ts'

/** Keys that jobs name. */
export interface JobKeys extends KeyRing {
  /** One that signs. Throws KEY_NOT_FOUND, CREDENTIALS_INVALID; PACKAGE_NOT_SIGNABLE for a public key. */
  signer(name: string): Promise<SignRequest>
}
