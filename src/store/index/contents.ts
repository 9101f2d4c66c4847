import { blobName, type Descriptor } from '../../content/descriptor.ts'
import { parseManifest, rawManifest, successors } from '../../content/manifest.ts'
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

/** Config and layers of a stored package, or undefined when its manifest is not whole. */
export async function contentsOf(
  layout: StoreLayout,
  record: Pick<StoredPackage, 'digest' | 'manifestMediaType' | 'manifestSize'>,
): Promise<readonly Descriptor[] | undefined> {
  try {
    const bytes = await readBlob(layout, manifestDescriptor(record), new AbortController().signal)
    return successors(parseManifest(rawManifest(record.manifestMediaType, bytes), `${record.digest} in the store`))
  } catch {
    return undefined
  }
}
