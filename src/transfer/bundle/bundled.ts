import { parseReference } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import type { Bundle, BundlePackage, ReadBlob } from '../../uds/contents/bundle.ts'
import type { OnEvent } from '../events.ts'
import { checkPackage, tellVerified, type VerificationFor } from '../signatures.ts'

/**
 * Checks the packages of a bundle, each by what is wanted of the repository that the bundle pins it from, from their small files.
 * One that was made from a file has none, and so nothing is wanted of it beside what is wanted of the bundle. Throws PACKAGE_*,
 * SIGNATURE_*, POLICY_VIOLATED.
 */
export async function checkBundledPackages(
  { packages }: Bundle,
  {
    verificationFor,
    ...options
  }: {
    verificationFor: VerificationFor | undefined
    read: ReadBlob
    where: string
    onEvent: OnEvent
    signal: AbortSignal
  },
): Promise<void> {
  if (!verificationFor) return
  for (const each of packages) {
    const place = placeOf(each, options.where)
    const verification = place && (await verificationFor(place))
    if (!verification) continue
    const where = `the package ${each.outline.name} of ${options.where}`
    const { signatures } = await checkPackage(each.layers, { ...options, verification, where })
    tellVerified(signatures, { where, onEvent: options.onEvent })
  }
}

/** What nobody can read could be any place: it is not let pass. */
function placeOf({ outline: { name, repository } }: BundlePackage, where: string) {
  if (repository === null) return undefined
  try {
    return parseReference(repository)
  } catch (cause) {
    throw new AppError('PACKAGE_INVALID', `the repository of the package ${name} of ${where} is none`, {
      hint: 'Which rule of LAYERD_POLICY_FILE holds for this package cannot be told: make the bundle again, with the registry and repository that the package is from.',
      details: { package: name },
      cause,
    })
  }
}
