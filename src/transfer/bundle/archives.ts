import { createFairLimiter } from '../../lib/queues/fair-limiter.ts'
import type { OpenedBundle } from '../../uds/bundle-archive.ts'
import { type InspectedBundle, inspectOpenedBundle } from './inspect.ts'

/** Bundles in files of this machine, for who looks at them. */
export interface BundleArchives {
  /** Opens the archive when it is the turn of who asks (`by`). Throws what `open` and inspectOpenedBundle throw. */
  inspect(
    open: () => Promise<OpenedBundle>,
    options: { reference: string; by: string; signal: AbortSignal },
  ): Promise<InspectedBundle>
}

/** Each may decompress for as long as a look lasts, and holds what it found so far. */
const LOOKS_AT_ONCE = 2

/** `fair`: one caller has one at a time, so that another is free for others. */
export function createBundleArchives({ fair }: { fair: boolean }): BundleArchives {
  const limiter = createFairLimiter({ all: LOOKS_AT_ONCE, perKey: fair ? 1 : LOOKS_AT_ONCE })
  return {
    inspect(open, options) {
      const look = async () => {
        await using opened = await open()
        return await inspectOpenedBundle(opened, options)
      }
      return limiter.run(options.by, look, options.signal)
    },
  }
}
