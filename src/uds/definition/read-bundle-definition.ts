import { extname } from 'node:path'
import { AppError } from '../../lib/errors.ts'
import { Thread } from '../../lib/loop/thread.ts'
import { isQuick } from '../../zarf/definition/yaml-limits.ts'
import { BUNDLE_DEFINITION } from '../layout/bundle-files.ts'
import type { BundleOutline } from './bundle-outline.ts'
import { parseBundle } from './parse-bundle.ts'

const thread = new Thread<Uint8Array, BundleOutline>({
  file: new URL(`./bundle-thread${extname(import.meta.filename)}`, import.meta.url),
  name: `the thread that reads ${BUNDLE_DEFINITION}`,
  memoryMib: 512,
  timeMs: 60_000,
  idleMs: 10_000,
  tooCostly: (why) =>
    new AppError('PACKAGE_TOO_LARGE', `${BUNDLE_DEFINITION} ${why} to read`, {
      hint: 'No bundle that uds made comes near this limit (docs/security.md): make it again with uds.',
      details: { path: BUNDLE_DEFINITION },
    }),
})

/**
 * Reads uds-bundle.yaml, whose size the caller has bounded; one that may take long in a thread. Throws what parseBundle throws,
 * PACKAGE_TOO_LARGE beyond the thread's memory or time, the signal's reason.
 */
export async function readBundleDefinition(bytes: Buffer, signal?: AbortSignal): Promise<BundleOutline> {
  if (isQuick(bytes)) return parseBundle(bytes)
  // A view of a pool's buffer would take all of that along.
  const own = new Uint8Array(bytes)
  return await thread.ask(own, { transfer: [own.buffer], ...(signal ? { signal } : {}) })
}
