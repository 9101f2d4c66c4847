import { type Descriptor, TITLE_ANNOTATION, titleOrDigest } from '../../content/descriptor.ts'
import { distinct } from '../../content/copy-graph.ts'
import { verified } from '../../content/hashing/verify.ts'
import { ZARF_LAYER } from '../../content/media-types.ts'
import { readAll } from '../../content/streams.ts'
import { checkSignatureSize, type SignedFiles } from '../../trust/verification.ts'
import {
  SIGSTORE_BUNDLE,
  checksumMismatch,
  DEFINITION,
  type IndexedPackage,
  LEGACY_SIGNATURE,
  type OpenedPackage,
  type PackageContents,
  type PackageEntry,
  type StreamedPackage,
} from '../../zarf/package.ts'
import type { OnEvent } from '../events.ts'
import { announce, announceBlobs, outlineOf, toldReads, totalBytes } from '../plan.ts'
import { readProgress } from './progress.ts'

export interface ReadOptions {
  /** Read every file, and hold it against checksums.txt; else the metadata alone are. */
  readonly whole: boolean
  readonly onEvent: OnEvent
  readonly signal: AbortSignal
}

/** A package on this machine: all that is known of it, and what its signature is made of. */
export interface ReadPackage {
  readonly contents: PackageContents
  readonly files: SignedFiles
}

/** Reads a package from end to end where it is compressed, as its signature comes last. Throws PACKAGE_*, SIGNATURE_INVALID. */
export async function readOpened(opened: OpenedPackage, options: ReadOptions): Promise<ReadPackage> {
  return opened.kind === 'indexed' ? await readIndexed(opened, options) : await readStreamed(opened, options)
}

async function readIndexed(opened: IndexedPackage, { whole, onEvent, signal }: ReadOptions): Promise<ReadPackage> {
  const { contents } = opened
  if (whole) {
    const progress = readProgress({ onEvent, signal })
    announceBlobs(distinct(contents.layers), onEvent)
    for (const layer of contents.layers) {
      const verify = checksumMismatch(titleOrDigest(layer), layer.digest)
      await progress.through(layer, await opened.open(layer, { signal }), verify)
    }
  }
  const bytesOf = async (path: string): Promise<Buffer | undefined> => {
    const layer = contents.layers.find(({ annotations }) => annotations?.[TITLE_ANNOTATION] === path)
    if (!layer) return undefined
    if (path !== DEFINITION) checkSignatureSize(layer.size, path)
    // The package was opened with these digests, and is published with them.
    const verify = checksumMismatch(path, layer.digest)
    return await readAll(verified(await opened.open(layer, { signal }), layer, verify))
  }
  const [definition, bundle, base64] = [
    await bytesOf(DEFINITION),
    await bytesOf(SIGSTORE_BUNDLE),
    await bytesOf(LEGACY_SIGNATURE),
  ]
  return { contents, files: { definition: definition ?? Buffer.alloc(0), signed: contents.signed, bundle, base64 } }
}

async function readStreamed(archive: StreamedPackage, { whole, onEvent, signal }: ReadOptions): Promise<ReadPackage> {
  const progress = readProgress({ onEvent, signal })
  const met: PackageEntry[] = []
  const small = new Map<string, Buffer>()
  if (whole) onEvent(outlineOf(await archive.declared({ signal })))
  await using pass = archive.pass({ signal, onRead: toldReads(archive, onEvent) })
  for await (const entry of pass) {
    met.push(entry)
    if (isSmall(entry)) small.set(entry.path, keep(entry))
    if (!whole) continue
    const layer = layerOf(entry)
    announce(layer, onEvent)
    await progress.through(layer, entry.content(), checksumMismatch(entry.path, entry.digest))
  }
  const contents = await archive.conclude(met)
  if (whole) {
    const blobs = distinct(contents.layers)
    onEvent({ type: 'plan', layers: blobs.length, bytes: totalBytes(blobs) })
  }
  const definition = small.get(DEFINITION) ?? Buffer.alloc(0)
  const [bundle, base64] = [small.get(SIGSTORE_BUNDLE), small.get(LEGACY_SIGNATURE)]
  return { contents, files: { definition, signed: contents.signed, bundle, base64 } }
}

function isSmall({ path }: PackageEntry): boolean {
  return path === DEFINITION || path === SIGSTORE_BUNDLE || path === LEGACY_SIGNATURE
}

/** What checksums.txt does not list was read whole by the pass. */
function keep({ path, size, bytes }: PackageEntry): Buffer {
  if (path !== DEFINITION) checkSignatureSize(size, path)
  return bytes ?? Buffer.alloc(0)
}

function layerOf({ path, digest, size }: PackageEntry): Descriptor {
  return { mediaType: ZARF_LAYER, digest, size, annotations: { [TITLE_ANNOTATION]: path } }
}
