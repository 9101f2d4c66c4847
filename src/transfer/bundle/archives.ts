import { createLimiter } from '../../lib/limiter.ts'
import type { OpenedBundle } from '../../uds/bundle-archive.ts'
import { type InspectedBundle, inspectOpenedBundle } from './inspect.ts'

/** Bundles in files of this machine, for who looks at them. */
export interface BundleArchives {
  /** Opens the archive when it is its turn. Throws what `open` and inspectOpenedBundle throw. */
  inspect(
    open: () => Promise<OpenedBundle>,
    options: { reference: string; signal: AbortSignal },
  ): Promise<InspectedBundle>
}

/** Each may decompress for as long as a look lasts, and holds what it found so far. */
const LOOKS_AT_ONCE = 2

export function createBundleArchives(): BundleArchives {
  const limiter = createLimiter(LOOKS_AT_ONCE)
  return {
    inspect: (open, options) =>
      limiter.run(async () => {
        await using opened = await open()
        return await inspectOpenedBundle(opened, options)
      }, options.signal),
  }
}
