import { distinct } from '../content/copy-graph.ts'
import { type Descriptor, TITLE_ANNOTATION } from '../content/descriptor.ts'
import { sha256Digest } from '../content/digest.ts'
import type { BlobOpener } from '../content/endpoints.ts'
import { sha256OfFile } from '../content/hashing/hash-file.ts'
import type { OpenedFile } from '../content/opened.ts'
import { bufferOpener } from '../content/streams.ts'
import { type ArtifactBlob, blobSource, type OpenedArtifact } from './artifact.ts'
import { EMPTY, EMPTY_BYTES, packManifest } from './pack.ts'
import { filePaths } from './titles.ts'

/** What oras calls things where nobody says. Source: oras-go v2.6.2 pack.go, oras v1.3 cmd/oras/internal. */
const DEFAULT_ARTIFACT = 'application/vnd.unknown.artifact.v1'
const DEFAULT_CONFIG = 'application/vnd.unknown.config.v1+json'
const DEFAULT_LAYER = 'application/vnd.oci.image.layer.v1.tar'

/** A file, and what its layer says of it. */
export interface NamedFile {
  readonly file: OpenedFile
  /** Its path in a folder that the artifact is pulled into. Default: it has none. */
  readonly title?: string
  /** Default: as oras calls a layer, or a config. */
  readonly mediaType?: string | undefined
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

export interface FilesArtifact {
  readonly files: readonly NamedFile[]
  /** Default: none but the empty one. */
  readonly config?: NamedFile | undefined
  /** Default: what oras says, unless a config tells what it is. */
  readonly artifactType?: string | undefined
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>> | undefined
}

export interface HashOptions {
  readonly signal: AbortSignal
  /** Told how many bytes of how many were read. */
  readonly onRead: (bytesRead: number, bytesTotal: number) => void
}

/**
 * Files as an artifact with the manifest that `oras push` gives it. Each is read once for its digest, and again when it is
 * sent. Takes the files over. Throws PACKAGE_UNSAFE_PATH, ARTIFACT_INVALID for titles, and what reading throws.
 */
export async function openFiles(
  { files, config, artifactType, annotations = {} }: FilesArtifact,
  options: HashOptions,
): Promise<OpenedArtifact> {
  const given = config ? [...files, config] : files
  try {
    const blobs = await hashed(given, options)
    const layers = blobs.slice(0, files.length)
    const found = config && blobs.at(-1)
    filePaths(
      layers.map(({ descriptor }) => descriptor),
      ({ digest }) => digest,
    )
    const empty: ArtifactBlob = { descriptor: EMPTY, open: bufferOpener(EMPTY_BYTES) }
    const named = layers.length === 0 ? [empty] : layers
    const all = [...named, found ?? empty]
    return {
      ...blobSource(all),
      where: files.map(({ file }) => file.name).join(', ') || 'an artifact without files',
      blobs: distinct(all.map(({ descriptor }) => descriptor)),
      layers: named.length,
      manifests: (subject) => [
        packManifest({
          artifactType: artifactType ?? (config ? undefined : DEFAULT_ARTIFACT),
          config: (found ?? empty).descriptor,
          layers: named.map(({ descriptor }) => descriptor),
          subject,
          annotations,
        }),
      ],
      [Symbol.asyncDispose]: () => closeAll(given),
    }
  } catch (error) {
    await closeAll(given)
    throw error
  }
}

async function closeAll(files: readonly NamedFile[]): Promise<void> {
  for (const { file } of files) await file[Symbol.asyncDispose]()
}

/** The config is the last, where there is one. */
async function hashed(files: readonly NamedFile[], options: HashOptions): Promise<ArtifactBlob[]> {
  const bytesTotal = files.reduce((sum, { file }) => sum + file.size, 0)
  const blobs: ArtifactBlob[] = []
  let before = 0
  for (const { file, title, mediaType, annotations } of files) {
    const onRead = (bytes: number): void => options.onRead(before + bytes, bytesTotal)
    const digest = sha256Digest(await sha256OfFile(file, { ...options, onRead }))
    await file.checkUnchanged()
    before += file.size
    const named = { ...annotations, ...(title === undefined ? {} : { [TITLE_ANNOTATION]: title }) }
    const type = mediaType ?? (title === undefined ? DEFAULT_CONFIG : DEFAULT_LAYER)
    const descriptor: Descriptor = { mediaType: type, digest, size: file.size, annotations: named }
    blobs.push({ descriptor, open: fileOpener(file) })
  }
  return blobs
}

/** Any part of a file, as often as it is wanted. */
export function fileOpener(file: OpenedFile): BlobOpener {
  return async ({ offset = 0, end, signal }) =>
    file.stream({ start: offset, signal, ...(end === undefined ? {} : { end }) })
}
