import type { PackageSignature } from '../../trust/verification.ts'
import { isOpenedBundle } from '../../uds/bundle-archive.ts'
import type { OpenedPackage } from '../../zarf/package.ts'
import { createSigning, type Signing } from '../signing.ts'
import { openBundleSource } from './bundle-source.ts'
import type { PublishDependencies, PublishOutcome, PublishRequest } from './request.ts'
import { type PublishSource, publishSource } from './source.ts'
import { signedSource, stillVerified, verifySource } from './verified.ts'

/** What a publish is of, once its signature was looked at. */
export interface CheckedSource {
  readonly source: PublishSource
  readonly signatures: readonly PackageSignature[] | undefined
  /** What the outcome says beside what every outcome says. */
  readonly told?: Partial<PublishOutcome>
  /** Of one that is signed here: tells so, and what the outcome says of it. */
  readonly signed?: (outcome: PublishOutcome) => Pick<PublishOutcome, 'signed' | 'signatures'>
}

/** Checks the signature where one may be wanted. Throws what verifySource, signedSource and openBundleSource throw. */
export async function checkedSource(
  request: PublishRequest,
  dependencies: Pick<PublishDependencies, 'signal' | 'onEvent'>,
): Promise<CheckedSource> {
  const { package: opened } = request
  if (isOpenedBundle(opened)) return await openBundleSource(opened, request, dependencies)
  const signing = request.sign && createSigning(request.sign, dependencies)
  const verified = await verifySource(opened, request, { ...dependencies, signing })
  if (!signing) return { source: stillVerified(publishSource(opened), verified), signatures: verified?.signatures }
  return {
    source: publishSource(await signedSource(opened, signing, { ...dependencies, verified })),
    signatures: undefined,
    signed: (outcome) => told(signing, { opened, outcome }),
  }
}

function told(
  signing: Signing,
  { opened, outcome }: { opened: OpenedPackage; outcome: PublishOutcome },
): Pick<PublishOutcome, 'signed' | 'signatures'> {
  const before = opened.kind === 'indexed' ? opened.contents : opened.known
  signing.tell(opened.fileName, before?.manifest.digest, outcome.digest)
  return { signed: true, signatures: [signing.signature] }
}
