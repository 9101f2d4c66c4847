import { openSource } from '../../../src/files/opened-file.ts'
import { type OpenedPackage, openPackage } from '../../../src/zarf/package.ts'

/** Opens a package on this machine as a worker does; `sourceName` is what its user calls it. */
export async function openPackageAt(
  path: string,
  { signal, sourceName }: { signal: AbortSignal; sourceName?: string },
): Promise<OpenedPackage> {
  return await openPackage(await openSource(path, sourceName), { signal })
}
