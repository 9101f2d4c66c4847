import type { Descriptor } from '../../content/descriptor.ts'
import type { ImageIndex, ImageManifest, RawManifest } from '../../content/manifest.ts'
import type { Verification } from '../../trust/verification.ts'
import { readBundle } from '../../uds/contents/bundle.ts'
import { isBundle, isPackage, packageLayers } from '../../zarf/pulled-package.ts'
import type { OnEvent } from '../events.ts'
import type { PackageSource } from '../package-source.ts'
import { checkPackage, NO_PACKAGE, tellVerified, type VerificationFor } from '../signatures.ts'
import { checkBundledPackages } from './bundled.ts'
import { checkBundleSignature } from './signature.ts'

/**
 * Checks each package and bundle of these from its small layers. What is neither has nothing that could be checked, so where
 * a key or an identity was given it is refused. Throws PACKAGE_*, SIGNATURE_*.
 */
export async function verifyPackages(
  manifests: ReadonlyArray<{ readonly raw: RawManifest; readonly parsed: ImageManifest | ImageIndex }>,
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
  for (const { raw, parsed } of manifests) {
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
