import { extname } from 'node:path'
import { AppError } from '../../lib/errors.ts'
import { Thread } from '../../lib/loop/thread.ts'
import { checkMetadataSize, DEFINITION } from '../layout/metadata-files.ts'
import { encodeDefinition, type EncodedDefinition } from './encode-definition.ts'

/** What zarf.yaml says: `outline`, and all of it as the bytes of zarf's config blob. */
export type ReadDefinition = EncodedDefinition<Buffer>

/** Few milliseconds, also where it is the first. Most packages' are smaller. */
const INLINE_BYTES = 16 * 1024
/** What may begin an anchor: with aliases to it a small text stands for a large one. */
const ANCHOR = /(?:^|[\s,:[\]{}])&[^\s&]/

/** Source for the figures: docs/adr/0014-no-worker-threads.md. */
const thread = new Thread<Uint8Array, EncodedDefinition<Uint8Array>>({
  file: new URL(`./definition-thread${extname(import.meta.filename)}`, import.meta.url),
  name: `the thread that reads ${DEFINITION}`,
  memoryMib: 512,
  timeMs: 60_000,
  idleMs: 10_000,
  tooCostly: (why) =>
    new AppError('PACKAGE_TOO_LARGE', `${DEFINITION} ${why} to read`, {
      hint: 'No package that zarf made comes near this limit (docs/security.md): make it again with zarf.',
      details: { path: DEFINITION },
    }),
})

/**
 * Reads zarf.yaml; one that may take long in a thread, so that it holds no event loop. Throws what parseDefinition and
 * outlineOf throw, PACKAGE_TOO_LARGE beyond the thread's memory or time, INTERNAL when the thread was lost, the signal's reason.
 */
export async function readDefinition(bytes: Buffer, signal?: AbortSignal): Promise<ReadDefinition> {
  checkMetadataSize({ path: DEFINITION, size: bytes.length })
  if (bytes.length <= INLINE_BYTES && !ANCHOR.test(bytes.toString('latin1'))) return asBuffer(encodeDefinition(bytes))
  // A view of a pool's buffer would take all of that along.
  const own = new Uint8Array(bytes)
  return asBuffer(await thread.ask(own, { transfer: [own.buffer], ...(signal ? { signal } : {}) }))
}

function asBuffer({ outline, config }: EncodedDefinition<Uint8Array>): ReadDefinition {
  return { outline, config: Buffer.from(config.buffer, config.byteOffset, config.byteLength) }
}
