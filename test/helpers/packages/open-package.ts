import { openSource } from '../../../src/files/opened-file.ts'
import { openArchive } from '../../../src/transfer/publish/open.ts'
import { type OpenedPackage, openPackage } from '../../../src/zarf/package.ts'

/** Opens a package on this machine as a worker does; `sourceName` is what its user calls it. */
export async function openPackageAt(
  path: string,
  { signal, sourceName }: { signal: AbortSignal; sourceName?: string },
): Promise<OpenedPackage> {
  return await openPackage(await openSource(path, sourceName), { signal })
}

/** A package or a bundle, as a worker opens it. */
export async function openArchiveAt(path: string, signal: AbortSignal): ReturnType<typeof openArchive> {
  return await openArchive(await openSource(path), { signal })
}
