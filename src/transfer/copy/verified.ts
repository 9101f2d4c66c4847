import type { Descriptor } from '../../content/descriptor.ts'
import type { Verification } from '../../trust/verification.ts'
import { readBundle } from '../../uds/contents/bundle.ts'
import { isBundle, isPackage, packageLayers } from '../../zarf/pulled-package.ts'
import { checkBundledPackages } from '../bundle/bundled.ts'
import { checkBundleSignature } from '../bundle/signature.ts'
import type { OnEvent } from '../events.ts'
import type { PackageSource } from '../package-source.ts'
import { checkPackage, tellVerified, type VerificationFor } from '../signatures.ts'
import type { ManifestTree } from './tree.ts'

/** An image, or somebody else's. */
const NO_PACKAGE = {
  definition: Buffer.alloc(0),
  signed: false,
  bundle: undefined,
  base64: undefined,
  unsignable: 'it is neither a Zarf package nor a UDS bundle, and signatures of nothing else are checked',
}

/**
 * Checks each package and bundle of a copy from its small layers. What is neither has nothing that could be checked, so where
 * a key or an identity was given it is refused. Throws PACKAGE_*, SIGNATURE_*.
 */
export async function verifyPackages(
  tree: ManifestTree,
  options: {
    verification: Verification | undefined
    bundledVerificationFor: VerificationFor | undefined
    reader: PackageSource
    where: string
    onEvent: OnEvent
    signal: AbortSignal
  },
): Promise<void> {
  const { verification, bundledVerificationFor, reader, onEvent, signal } = options
  const read = (layer: Descriptor) => reader.read(layer)
  for (const { raw, parsed } of tree.all) {
    if (parsed.kind === 'index') continue
    const where = `${options.where} (${raw.digest})`
    if (isBundle(parsed) && (verification || bundledVerificationFor)) {
      const bundle = await readBundle(raw, { read, where, signal })
      if (verification)
        tellVerified(await checkBundleSignature(bundle, { read, verification, where }), { where, onEvent })
      await checkBundledPackages(bundle, { verificationFor: bundledVerificationFor, read, where, onEvent, signal })
    } else if (verification && isPackage(parsed)) {
      const { signatures } = await checkPackage(packageLayers(parsed, where), { read, verification, where, signal })
      tellVerified(signatures, { where, onEvent })
    } else {
      verification?.check(NO_PACKAGE, where)
    }
  }
}
