import {
  checkSignatureSize,
  lookAtSignatures,
  type PackageSignature,
  type SignedFiles,
  type Verification,
} from '../../trust/verification.ts'
import { type Bundle, BUNDLE_DEFINITION, BUNDLE_SIGNATURE, type ReadBlob } from '../../uds/contents/bundle.ts'

/**
 * What a bundle's signature is made of: the old form alone, over uds-bundle.yaml. Throws SIGNATURE_INVALID for one too large
 * to be one. Source: zarf-packages.md 4.2; uds v0.35 pkg/legacy/bundle/common.go ValidateBundleSignature.
 */
export async function signedBundle({ layers, definition }: Bundle, read: ReadBlob): Promise<SignedFiles> {
  const { signature } = layers
  if (signature) checkSignatureSize(signature.size, BUNDLE_SIGNATURE)
  const base64 = signature && (await read(signature))
  return { name: BUNDLE_DEFINITION, definition, signed: signature !== undefined, bundle: undefined, base64 }
}

/** Throws SIGNATURE_*. `look`: told unchecked; undefined: not even looked at. */
export async function checkBundleSignature(
  bundle: Bundle,
  { read, verification, where }: { read: ReadBlob; verification: Verification | 'look' | undefined; where: string },
): Promise<readonly PackageSignature[]> {
  if (verification === undefined) return []
  const files = await signedBundle(bundle, read)
  return verification === 'look' ? lookAtSignatures(files) : verification.check(files, where)
}
