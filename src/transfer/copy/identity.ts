import type { Descriptor } from '../../content/descriptor.ts'
import { throwIfAborted } from '../../lib/abort.ts'
import { readBundleIdentity } from '../../uds/contents/bundle.ts'
import { DEFINITION, type PackageIdentity } from '../../zarf/package.ts'
import { isBundle, isPackage, metadataLayer, packageLayers, readMetadata } from '../../zarf/pulled-package.ts'
import type { PackageSource } from '../package-source.ts'
import { SEVERAL } from './choice.ts'
import type { ManifestTree } from './tree.ts'

/**
 * What is copied, by the first package or bundle of it: those of one index differ in their architectures alone. Undefined for what
 * is neither, and where that cannot be read: nobody but who watches wants to know.
 */
export async function identityOf(
  { all }: Pick<ManifestTree, 'all'>,
  architectures: readonly string[],
  { reader, where, signal }: { reader: PackageSource; where: string; signal: AbortSignal },
): Promise<PackageIdentity | undefined> {
  const read = (layer: Descriptor) => reader.read(layer)
  for (const { parsed } of all) {
    if (parsed.kind === 'index' || !(isBundle(parsed) || isPackage(parsed))) continue
    try {
      const layers = isBundle(parsed) ? undefined : packageLayers(parsed, where)
      const identity = layers
        ? (await readMetadata(layers, await read(metadataLayer(layers, DEFINITION)), signal)).identity
        : await readBundleIdentity(parsed, { read, where, signal })
      return architectures.length > 1 ? { ...identity, architecture: SEVERAL } : identity
    } catch {
      throwIfAborted(signal)
      return undefined
    }
  }
  return undefined
}
