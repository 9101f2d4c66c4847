import { type Descriptor, titleOrDigest } from '../../content/descriptor.ts'
import type { ByteStream, OpenOptions } from '../../content/endpoints.ts'
import type { OpenedFile } from '../../content/opened.ts'
import { RangeIgnored } from '../../content/ranges.ts'
import { firstBytes } from '../../content/streams.ts'
import { AppError } from '../../lib/errors.ts'
import { type InnerFiles, listInnerFiles, listPassingFiles } from '../../zarf/inner-files.ts'
import { bufferFile, innerOptions, WHOLE_BYTES } from './inspectable.ts'

/** Where the files of a package can be read by their ranges. */
export interface RangedPlace {
  /** One small file, whole and verified. */
  read(layer: Descriptor): Promise<Buffer>
  /** A stream from an offset on, or of a range; throws RangeIgnored where the place gives whole files alone. */
  open(layer: Descriptor, options: Omit<OpenOptions, 'signal'>): Promise<ByteStream>
}

/** Where no ranges are to be had, a file up to this size is read from its beginning. */
const MAX_PASSED_BYTES = 64 * 2 ** 20

/** Lists a tar by its ranges; a small one whole, and one whose place gives no ranges from its beginning to its end. */
export async function innerOf(layer: Descriptor, place: RangedPlace): Promise<InnerFiles> {
  const options = innerOptions(titleOrDigest(layer))
  if (layer.size <= WHOLE_BYTES) return await listInnerFiles(bufferFile(await place.read(layer)), options)
  try {
    return await listInnerFiles(rangedFile(layer, place), options)
  } catch (error) {
    if (!(error instanceof RangeIgnored)) throw error
    if (layer.size > MAX_PASSED_BYTES) throw withoutRanges(layer, error)
    return await listPassingFiles(await place.open(layer, {}), options)
  }
}

/** The bytes of a file from `start` to before `end`, under the same rules. */
export async function* rangeOf(
  layer: Descriptor,
  { start, end }: { start: number; end: number },
  place: RangedPlace,
): ByteStream {
  if (layer.size <= WHOLE_BYTES) {
    const bytes = (await place.read(layer)).subarray(start, end)
    if (bytes.length > 0) yield bytes
    return
  }
  if (end > start) yield* await openRange(layer, { start, end }, place)
}

async function openRange(
  layer: Descriptor,
  { start, end }: { start: number; end: number },
  place: RangedPlace,
): Promise<ByteStream> {
  try {
    return await place.open(layer, { offset: start, ...(end < layer.size ? { end } : {}) })
  } catch (error) {
    if (!(error instanceof RangeIgnored)) throw error
    if (layer.size > MAX_PASSED_BYTES) throw withoutRanges(layer, error)
    return firstBytes(await place.open(layer, { offset: start }), end - start)
  }
}

function rangedFile(layer: Descriptor, place: RangedPlace): Pick<OpenedFile, 'size' | 'read'> {
  return {
    size: layer.size,
    async read(target, offset) {
      const stream = await place.open(layer, { offset, end: offset + target.length })
      let filled = 0
      for await (const chunk of stream) filled += chunk.copy(target, filled)
      if (filled === target.length) return target
      throw new AppError('SIZE_MISMATCH', `${titleOrDigest(layer)} ended after ${offset + filled} bytes`, {
        details: { digest: layer.digest, expected: layer.size, found: offset + filled },
      })
    },
  }
}

function withoutRanges(layer: Descriptor, cause: AppError): AppError {
  return new AppError(cause.code, `${cause.message}; ${titleOrDigest(layer)} has ${layer.size} bytes`, {
    op: 'fetch blob',
    cause,
    hint: 'This registry gives no parts of blobs, and so much is not read for a look: pull the package, and look at it in the store.',
    details: { digest: layer.digest, size: layer.size, limit: MAX_PASSED_BYTES },
  })
}
