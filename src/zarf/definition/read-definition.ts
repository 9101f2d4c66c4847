import { extname } from 'node:path'
import { AppError } from '../../lib/errors.ts'
import { Thread } from '../../lib/loop/thread.ts'
import { checkMetadataSize, DEFINITION } from '../layout/metadata-files.ts'
import type { DefinitionQuestion } from './definition-thread.ts'
import { encodeDefinition, type EncodedDefinition } from './encode-definition.ts'
import { markSigned } from './sign-definition.ts'
import { isQuick } from './yaml-limits.ts'

/** What zarf.yaml says: `outline`, and all of it as the bytes of zarf's config blob. */
export type ReadDefinition = EncodedDefinition<Buffer>

/** Source for the figures: docs/adr/0014-no-worker-threads.md. */
const thread = new Thread<DefinitionQuestion, EncodedDefinition<Uint8Array> & { signed?: Uint8Array }>({
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
  if (isQuick(bytes)) return asBuffer(encodeDefinition(bytes))
  return asBuffer(await askThread(bytes, { sign: false, ...(signal ? { signal } : {}) }))
}

/** zarf.yaml as it is signed, and what it says then. */
export interface SignedDefinition {
  readonly bytes: Buffer
  readonly read: ReadDefinition
}

/** Marks zarf.yaml as signed; in a thread as readDefinition does. Throws what markSigned and readDefinition throw. */
export async function signedDefinition(bytes: Buffer, signal: AbortSignal): Promise<SignedDefinition> {
  checkMetadataSize({ path: DEFINITION, size: bytes.length })
  if (isQuick(bytes)) {
    const marked = markSigned(bytes)
    return { bytes: marked, read: asBuffer(encodeDefinition(marked)) }
  }
  const { signed = new Uint8Array(), ...read } = await askThread(bytes, { sign: true, signal })
  return { bytes: Buffer.from(signed.buffer, signed.byteOffset, signed.byteLength), read: asBuffer(read) }
}

function askThread(
  bytes: Buffer,
  { sign, signal }: { sign: boolean; signal?: AbortSignal },
): ReturnType<typeof thread.ask> {
  // A view of a pool's buffer would take all of that along.
  const own = new Uint8Array(bytes)
  return thread.ask({ bytes: own, sign }, { transfer: [own.buffer], ...(signal ? { signal } : {}) })
}

function asBuffer({ outline, config }: EncodedDefinition<Uint8Array>): ReadDefinition {
  return { outline, config: Buffer.from(config.buffer, config.byteOffset, config.byteLength) }
}
