import { type AppError, isAppError } from '../lib/errors.ts'

/** oci-client.md M8: eventual consistency, or a HEAD that answered for another repository. */
export function isMissingBlob(error: unknown): error is AppError {
  if (!isAppError(error)) return false
  if (error.details?.['missing'] !== undefined) return true
  const code = error.upstream?.ociCode
  return code === 'MANIFEST_BLOB_UNKNOWN' || code === 'BLOB_UNKNOWN'
}
