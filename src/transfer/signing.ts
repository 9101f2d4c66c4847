import { type Digest, digestOf } from '../content/digest.ts'
import { AppError } from '../lib/errors.ts'
import { type PackageSignature, signDefinition, type SignedFiles, type Signer } from '../trust/verification.ts'
import { type MadeFiles, madeFiles, signedDefinition } from '../zarf/package.ts'
import type { OnEvent } from './events.ts'

/** A key that a job signs with. */
export interface SignRequest {
  readonly signer: Signer
  /** As the job calls it. */
  readonly name: string
}

/** Signs packages for one run: the same zarf.yaml once, so that what is read again gets the signature that it had. */
export interface Signing {
  /**
   * `expected`: of the zarf.yaml that was checked. Throws PACKAGE_NOT_SIGNABLE, PACKAGE_CHANGED, KEY_UNAVAILABLE,
   * CREDENTIALS_INVALID.
   */
  sign(definition: Buffer, expected?: Digest): Promise<MadeFiles>
  /** As it was made, and checked then. */
  readonly signature: PackageSignature
  /** Says that the package came as `before` and goes as `after`. */
  tell(what: string, before: Digest | undefined, after: Digest): void
}

export function createSigning(
  { signer, name }: SignRequest,
  { onEvent, signal }: { onEvent: OnEvent; signal: AbortSignal },
): Signing {
  const done = new Map<Digest, Promise<MadeFiles>>()
  const make = async (definition: Buffer): Promise<MadeFiles> => {
    const signed = await signedDefinition(definition, signal)
    return madeFiles(signed, await signDefinition(signed.bytes, signer, signal))
  }
  const { fingerprint } = signer.publicKey
  return {
    signature: { form: 'bundle', key: { fingerprint }, verified: true, reason: null },
    sign(definition, expected) {
      const digest = digestOf(definition)
      if (expected !== undefined && expected !== digest) throw packageChanged()
      const files = done.get(digest) ?? make(definition)
      done.set(digest, files)
      return files
    },
    tell(what, before, after) {
      const came = before === undefined ? '' : `, and came as ${before}`
      const message = `${what} is signed with the key ${name} (${fingerprint}): it becomes ${after}${came}`
      onEvent({ type: 'log', level: 'info', message })
    },
  }
}

/** What of it a signature is checked by. */
export function madeSignature({ definition, bundle }: MadeFiles): SignedFiles {
  return { definition: definition.bytes, signed: true, bundle: bundle.bytes, base64: undefined }
}

/** What stands in for another one after it was checked. */
export function packageChanged(): AppError {
  return new AppError('PACKAGE_CHANGED', 'zarf.yaml became another one after it was checked', {
    hint: 'Nothing was tagged. Leave the package as it is while it is published, and try again.',
  })
}
