import type { Digest } from '../../content/digest.ts'
import { hasherFor } from '../../content/hashing/hasher.ts'
import { openBlobFile, streamBlob } from './blob-file.ts'

export interface HashedFile {
  readonly hex: string
  /** Undefined when the file was changed while it was read. */
  readonly identity: string | undefined
}

/** Reads the first `size` bytes of a file, as its digest's algorithm has them. Throws STORE_CORRUPT when it is shorter or absent. */
export async function hashFile(
  path: string,
  digest: Digest,
  { size, signal }: { size: number; signal: AbortSignal },
): Promise<HashedFile> {
  const hasher = hasherFor(digest)
  await using file = await openBlobFile(path, digest)
  const identity = await file.identity()
  // The stream closes what it is given, and the file is looked at once more.
  const lent = { ...file, [Symbol.asyncDispose]: async () => undefined }
  for await (const chunk of streamBlob(lent, { start: 0, end: size, signal })) hasher.update(chunk)
  return { hex: hasher.digest('hex'), identity: (await file.identity()) === identity ? identity : undefined }
}
