import type { Digest } from '../../content/digest.ts'
import { repositoryFor } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import type { PackageSignature } from '../../trust/verification.ts'
import { DEFINITION, type PackageContents } from '../../zarf/package.ts'
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
 * Checks the signature where one may be wanted; a compressed archive is read to its end for it, as that is where its signature
 * lies. Throws PACKAGE_*, SIGNATURE_*, POLICY_VIOLATED.
 */
export async function verifySource(
  { package: opened, destination, verificationFor }: PublishRequest,
  { signal, onEvent }: PublishDependencies,
): Promise<VerifiedSource | undefined> {
  if (!verificationFor) return undefined
  const { contents, files } = await readOpened(opened, { whole: false, onEvent, signal })
  const verification = await verificationFor(repositoryFor(destination, contents.identity.name))
  return { signatures: verification?.check(files, opened.fileName), definition: definitionOf(contents) }
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
      throw new AppError('PACKAGE_CHANGED', 'zarf.yaml became another one after it was checked', {
        hint: 'Nothing was tagged. Leave the package as it is while it is published, and try again.',
      })
    },
  }
}

function definitionOf({ files }: PackageContents): Digest | undefined {
  return files.find(({ path }) => path === DEFINITION)?.digest
}
