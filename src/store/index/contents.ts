import { distinct } from '../../content/copy-graph.ts'
import { blobName, type Descriptor } from '../../content/descriptor.ts'
import { parseManifest, rawManifest, successors } from '../../content/manifest.ts'
import { OCI_MANIFEST } from '../../content/media-types.ts'
import { readAll } from '../../content/streams.ts'
import { mapInBatches } from '../../lib/loop/breathe.ts'
import { verified } from '../../content/hashing/verify.ts'
import { openBlobFile, streamBlob } from '../blobs/blob-file.ts'
import { isWhole } from '../ingest/ingest.ts'
import type { StoreLayout } from '../files/layout.ts'
import { manifestDescriptor, type StoredPackage } from './records.ts'

/** A whole blob in memory, verified. */
export async function readBlob(layout: StoreLayout, descriptor: Descriptor, signal: AbortSignal): Promise<Buffer> {
  const file = await openBlobFile(layout.blob(descriptor.digest), blobName(descriptor))
  return readAll(verified(streamBlob(file, { start: 0, end: descriptor.size, signal }), descriptor))
}

/** Those that are not there in full. */
export async function missingBlobs(layout: StoreLayout, blobs: readonly Descriptor[]): Promise<Descriptor[]> {
  const whole = await mapInBatches(blobs, (blob) => isWhole(layout.blob(blob.digest), blob.size))
  return blobs.filter((_, at) => whole[at] === false)
}

/** What tells what a stored package needs. */
export type NeedsRecord = Pick<StoredPackage, 'digest' | 'manifestMediaType' | 'manifestSize' | 'nested' | 'without'>

/**
 * Config and layers of a stored package, of a bundle also those of its packages; undefined when its manifest, or one of these, is
 * not whole: what it needs is not known then.
 */
export async function contentsOf(layout: StoreLayout, record: NeedsRecord): Promise<readonly Descriptor[] | undefined> {
  try {
    const own = await namedBy(layout, manifestDescriptor(record))
    if (!record.nested) return own
    const nested = new Set<string>(record.nested)
    const without = new Set<string>(record.without)
    const all = [...own]
    for (const blob of distinct(own)) {
      if (!nested.has(blob.digest)) continue
      all.push(...(await namedBy(layout, { ...blob, mediaType: OCI_MANIFEST })))
    }
    return distinct(all).filter(({ digest }) => !without.has(digest))
  } catch {
    return undefined
  }
}

async function namedBy(layout: StoreLayout, manifest: Descriptor): Promise<readonly Descriptor[]> {
  const bytes = await readBlob(layout, manifest, new AbortController().signal)
  return successors(parseManifest(rawManifest(manifest.mediaType, bytes), `${manifest.digest} in the store`))
}
