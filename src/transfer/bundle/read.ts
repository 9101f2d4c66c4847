import { titleOrDigest } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { VerifyOptions } from '../../content/endpoints.ts'
import { AppError } from '../../lib/errors.ts'
import type { OpenedBundle } from '../../uds/bundle-archive.ts'
import type { Bundle, ReadBlob } from '../../uds/contents/bundle.ts'

/** What the archive is of; its head is read where that was not done. Throws as StreamedBundle.read. */
export async function readOpenedBundle(opened: OpenedBundle, signal: AbortSignal): Promise<Bundle> {
  return opened.kind === 'indexed-bundle' ? opened.bundle : await opened.read({ signal })
}

/** Reads small blobs of an archive. Throws PACKAGE_INVALID for one that is not there. */
export function readerOf(opened: OpenedBundle, signal: AbortSignal): ReadBlob {
  if (opened.kind === 'indexed-bundle') return (blob) => opened.readBlob(blob)
  return async (blob) => {
    const bytes = (await opened.readBlobs([blob], { signal })).get(blob.digest)
    if (bytes) return bytes
    throw new AppError('PACKAGE_INVALID', `${opened.fileName} does not hold ${titleOrDigest(blob)}`)
  }
}

/** How wrong bytes of a blob of an archive are told: there its name is its digest. */
export function wrongBlob(path: string, expected: Digest): VerifyOptions {
  return {
    name: path,
    mismatch: (found) =>
      new AppError('DIGEST_MISMATCH', `the bundle holds other bytes for ${path}: they have the sha256 ${found}`, {
        side: 'source',
        details: { path, expected, found: `sha256:${found}` },
        hint: 'The bundle is damaged: get it again, or make it again with uds create.',
      }),
  }
}
