import { type Descriptor, descriptorTitle } from '../../content/descriptor.ts'
import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import { digestOf } from '../../content/digest.ts'
import { bufferOpener } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import { createBreathing, nextTurn } from '../../lib/loop/breathe.ts'
import { parseChecksums } from '../layout/checksums.ts'
import {
  duplicateFile,
  type FoundFile,
  insteadOfPackage,
  missingFile,
  packageContents,
  unlistedFile,
  unlistedRule,
} from '../contents/contents.ts'
import { readDefinition } from '../definition/read-definition.ts'
import { CHECKSUMS, checkMetadataSize, DEFINITION } from '../layout/metadata-files.ts'
import type { IndexedPackage, PackageContents, PackageFile } from '../contents/types.ts'

/** A package whose files can be opened in any order. */
export interface FileIndex<F extends { path: string; size: number }> {
  readonly format: IndexedPackage['format']
  readonly fileName: string
  readonly sourceBytes: number
  readonly files: readonly F[]
  /** Bytes of one file from an offset on, to its end or an earlier one. */
  open(file: F, options: OpenOptions): ByteStream
  close(): Promise<void>
}

/** Checks the whole structure; the bytes of listed files are verified when they are read. */
export async function createIndexedPackage<F extends { path: string; size: number }>(
  index: FileIndex<F>,
  signal: AbortSignal,
): Promise<IndexedPackage> {
  const files = new Map<string, F>()
  const breathe = createBreathing()
  for (const file of index.files) {
    await breathe()
    if (files.has(file.path)) throw duplicateFile(file.path)
    files.set(file.path, file)
  }
  const contents = await readContents(index, files, signal)
  return {
    kind: 'indexed',
    format: index.format,
    fileName: index.fileName,
    sourceBytes: index.sourceBytes,
    contents,
    async open(descriptor, { offset = 0, end, signal }) {
      const file = files.get(pathOf(contents, descriptor) ?? '')
      if (file) return index.open(file, { offset, signal, ...(end === undefined ? {} : { end }) })
      if (descriptor.digest === contents.config.descriptor.digest) {
        return bufferOpener(contents.config.bytes)({ offset, signal })
      }
      throw new AppError('BLOB_NOT_FOUND', `the package ${index.fileName} does not hold ${descriptor.digest}`, {
        side: 'source',
        details: { digest: descriptor.digest },
      })
    },
    [Symbol.asyncDispose]: () => index.close(),
  }
}

async function readContents<F extends { path: string; size: number }>(
  index: FileIndex<F>,
  files: ReadonlyMap<string, F>,
  signal: AbortSignal,
): Promise<PackageContents> {
  const read = async (path: string): Promise<Buffer> => {
    const file = files.get(path)
    if (!file) throw missingFile(path)
    checkMetadataSize(file)
    const bytes = Buffer.alloc(file.size)
    let filled = 0
    for await (const chunk of index.open(file, { signal })) filled += chunk.copy(bytes, filled)
    return bytes
  }
  if (!files.has(CHECKSUMS)) throw insteadOfPackage(index.fileName, (path) => files.has(path))
  const declared = parseChecksums(await read(CHECKSUMS))
  await nextTurn()
  const definition = await readDefinition(await read(DEFINITION), signal)
  const mayBeUnlisted = unlistedRule(definition.outline, files)
  const found: FoundFile[] = []
  const breathe = createBreathing()
  for (const { path, size } of index.files) {
    await breathe()
    const digest = declared.get(path)
    if (digest) {
      found.push({ path, size, digest, bytes: undefined })
      continue
    }
    if (!mayBeUnlisted(path)) throw unlistedFile(path)
    const bytes = await read(path)
    found.push({ path, size, digest: digestOf(bytes), bytes })
  }
  return packageContents(found, definition)
}

/** The file a layer stands for: by its title, or by its digest where the descriptor has none. */
export function pathOf(contents: PackageContents, descriptor: Descriptor): string | undefined {
  const title = descriptorTitle(descriptor)
  const matches = (file: PackageFile): boolean =>
    file.digest === descriptor.digest && (title === undefined || file.path === title)
  return contents.files.find(matches)?.path
}
