import { type ByteStream, OWN_BELOW_BYTES } from '../../content/endpoints.ts'
import { AppError } from '../../lib/errors.ts'
import type { TarEntry } from './tar-entries.ts'
import { atEntry, type StreamTarInput } from './tar-input.ts'

/** The content of the entry that the input stands at, once. Throws PACKAGE_TRUNCATED; INTERNAL once the pass has gone on. */
export async function* entryContent(input: StreamTarInput, { path, offset, size }: TarEntry): ByteStream {
  let expected = offset
  const end = offset + size
  try {
    while (expected < end) {
      if (input.position !== expected) throw passedOver(path)
      const chunk = await input.some(end - expected)
      if (!chunk) throw new AppError('PACKAGE_TRUNCATED', 'the package ends too early')
      expected += chunk.length
      // A piece of a chunk may be as small as one that is never reused.
      yield chunk.length < OWN_BELOW_BYTES ? Buffer.from(chunk) : chunk
    }
  } catch (error) {
    throw atEntry(error, path)
  }
}

function passedOver(path: string): AppError {
  return new AppError('INTERNAL', `the content of ${path} was asked for after the pass had gone on, or twice`)
}
