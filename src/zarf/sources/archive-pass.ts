import { type Digest, digestOf } from '../../content/digest.ts'
import { streamOf } from '../../content/streams.ts'
import { parseChecksums } from '../layout/checksums.ts'
import { checkAggregate, duplicateFile, unlistedFile, unlistedRule } from '../contents/contents.ts'
import { readDefinition } from '../definition/read-definition.ts'
import {
  CHECKSUMS,
  checkMetadataSize,
  DEFINITION,
  isNeverListed,
  MAX_METADATA_BYTES,
} from '../layout/metadata-files.ts'
import type { Seen } from './size-estimate.ts'
import { type TarEntry, tarEntries } from '../archive/tar-entries.ts'
import { entryContent } from '../archive/entry-content.ts'
import { atEntry, type StreamTarInput } from '../archive/tar-input.ts'
import type { PackageContents, PackageEntry, PassOptions, StreamedPackage } from '../contents/types.ts'

/** checksums.txt: what it declares, and its own bytes for zarf.yaml to vouch for. */
export interface Checksums {
  readonly bytes: Buffer
  readonly declared: ReadonlyMap<string, Digest>
}

export function readChecksums(bytes: Buffer): Checksums {
  return { bytes, declared: parseChecksums(bytes) }
}

/**
 * The entries of an archive as they go by. What is wrong is thrown at the earliest entry that shows it: a file that
 * checksums.txt does not list may still be one that a signed zarf.yaml, which comes last, allows.
 */
export async function* archiveEntries(input: StreamTarInput, state: PassState): AsyncGenerator<PackageEntry> {
  let at: string | undefined
  try {
    for await (const entry of tarEntries(input)) {
      at = entry.path
      yield await state.admit(entry)
    }
    await input.drain()
  } catch (error) {
    throw atEntry(error, at)
  }
}

/** What a pass has met: what later entries are judged by, and the size of the rest guessed from. */
export class PassState {
  readonly #input: StreamTarInput
  readonly #findChecksums: () => Promise<Checksums>
  readonly #paths = new Set<string>()
  #checksums: Checksums | undefined
  /** Known once zarf.yaml was read. */
  #mayBeUnlisted: ((path: string) => boolean) | undefined
  /** Unlisted files that only zarf.yaml can allow. */
  #undecided: string[] = []
  #undecidedBytes = 0
  /** The entry that is being read, and the content of those before it. */
  #current: TarEntry | undefined
  #contentBefore = 0

  constructor(input: StreamTarInput, findChecksums: () => Promise<Checksums>) {
    this.#input = input
    this.#findChecksums = findChecksums
  }

  get seen(): Pick<Seen, 'position' | 'contentBytes' | 'files' | 'expectedFiles'> {
    const { position } = this.#input
    const { offset = position, size = 0 } = this.#current ?? {}
    return {
      position,
      contentBytes: this.#contentBefore + Math.max(0, Math.min(size, position - offset)),
      files: this.#paths.size,
      // Beside the declared ones checksums.txt and zarf.yaml.
      expectedFiles: (this.#checksums?.declared.size ?? 0) + 2,
    }
  }

  async admit(entry: TarEntry): Promise<PackageEntry> {
    const { path, size } = entry
    this.#contentBefore += this.#current?.size ?? 0
    this.#current = entry
    if (this.#paths.has(path)) throw duplicateFile(path)
    this.#paths.add(path)
    if (path !== CHECKSUMS) this.#checksums ??= await this.#findChecksums()
    const digest = this.#checksums?.declared.get(path)
    if (digest) return { path, size, digest, bytes: undefined, content: () => entryContent(this.#input, entry) }
    this.#checkUnlisted(entry)
    const bytes = await this.#input.take(size)
    if (path === CHECKSUMS) this.#checksums = readChecksums(bytes)
    if (path === DEFINITION) await this.#readDefinition(bytes)
    return { path, size, digest: digestOf(bytes), bytes, content: () => streamOf(bytes) }
  }

  #checkUnlisted(entry: TarEntry): void {
    const { path, size } = entry
    if (isNeverListed(path)) {
      checkMetadataSize(entry)
      return
    }
    if (this.#mayBeUnlisted?.(path) === false) throw unlistedFile(path)
    // No provenance file is as large as that: the package holds something that does not belong to it.
    this.#undecidedBytes += size
    if (this.#undecidedBytes > MAX_METADATA_BYTES) throw unlistedFile(path)
    this.#undecided.push(path)
  }

  async #readDefinition(bytes: Buffer): Promise<void> {
    const { outline } = await readDefinition(bytes)
    const checksums = (this.#checksums ??= await this.#findChecksums())
    checkAggregate(outline, checksums.bytes)
    const mayBeUnlisted = unlistedRule(outline, this.#paths)
    const wrong = this.#undecided.find((path) => !mayBeUnlisted(path))
    if (wrong !== undefined) throw unlistedFile(wrong)
    this.#mayBeUnlisted = mayBeUnlisted
  }
}

/** StreamedPackage.scan. */
export async function scanArchive(
  archive: Pick<StreamedPackage, 'pass' | 'conclude'>,
  options: PassOptions,
): Promise<PackageContents> {
  const met: PackageEntry[] = []
  await using pass = archive.pass(options)
  for await (const entry of pass) met.push(entry)
  return await archive.conclude(met)
}
