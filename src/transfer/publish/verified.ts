import type { Digest } from '../../content/digest.ts'
import { repositoryFor } from '../../content/reference.ts'
import type { PackageSignature } from '../../trust/verification.ts'
import { DEFINITION, openSigned, type OpenedPackage } from '../../zarf/package.ts'
import type { Publishable } from '../plan.ts'
import { madeSignature, packageChanged, type Signing } from '../signing.ts'
import { readOpened } from '../verify/opened.ts'
import type { PublishDependencies, PublishRequest } from './request.ts'
import type { PublishSource } from './source.ts'

/** What was found of a package's signature before anything was sent. */
export interface VerifiedSource {
  /** undefined: for its repository nothing was wanted. */
  readonly signatures: readonly PackageSignature[] | undefined
  /** Of the zarf.yaml that was read: what is published has to be under the same. */
  readonly definition: Digest | undefined
}

/**
 * Checks the signature where one may be wanted; a compressed archive is read to its end for it, as that is where its
 * signature lies. What is wanted of the package as it is signed is checked now too. Throws PACKAGE_*, SIGNATURE_*,
 * POLICY_VIOLATED, and what signing throws.
 */
export async function verifySource(
  opened: OpenedPackage,
  {
    destination,
    verificationFor,
    signedVerificationFor,
  }: Pick<PublishRequest, 'destination' | 'verificationFor' | 'signedVerificationFor'>,
  { signing, signal, onEvent }: Pick<PublishDependencies, 'signal' | 'onEvent'> & { signing: Signing | undefined },
): Promise<VerifiedSource | undefined> {
  if (!verificationFor && !signedVerificationFor) return undefined
  const { contents, files } = await readOpened(opened, { whole: false, onEvent, signal })
  const repository = repositoryFor(destination, contents.identity.name)
  const definition = definitionOf(contents)
  const signatures = (await verificationFor?.(repository))?.check(files, opened.fileName)
  const wanted = signing && (await signedVerificationFor?.(repository))
  if (wanted) {
    const made = await signing.sign(files.definition, definition)
    wanted.check(madeSignature(made), `${opened.fileName}, as it is to be signed,`)
  }
  return { signatures, definition }
}

/** The package as it is once it is signed. Throws PACKAGE_CHANGED where that is not the one that was verified. */
export function signedSource(
  opened: OpenedPackage,
  signing: Signing,
  { verified, ...options }: { verified: VerifiedSource | undefined } & Pick<PublishDependencies, 'signal' | 'onEvent'>,
): Promise<OpenedPackage> {
  return openSigned(opened, {
    sign: (definition) => signing.sign(definition, verified?.definition),
    readDefinition: async (indexed) => (await readOpened(indexed, { whole: false, ...options })).files.definition,
  })
}

/** zarf.yaml vouches for all else, so that what is read again is the same package. Its `move` throws PACKAGE_CHANGED. */
export function stillVerified(source: PublishSource, verified: VerifiedSource | undefined): PublishSource {
  if (!verified) return source
  return {
    guess: source.guess,
    learn: (options) => source.learn(options),
    async move(options) {
      const contents = await source.move(options)
      if (verified.definition === definitionOf(contents)) return contents
      throw packageChanged()
    },
  }
}

function definitionOf({ files = [] }: Pick<Publishable, 'files'>): Digest | undefined {
  return files.find(({ path }) => path === DEFINITION)?.digest
}
