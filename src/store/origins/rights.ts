import type { Descriptor } from '../../content/descriptor.ts'
import type { Digest } from '../../content/digest.ts'
import type { ContentOrigin, OpenOptions } from '../../content/endpoints.ts'
import { isAppError } from '../../lib/errors.ts'
import type { StoreLayout } from '../files/layout.ts'
import { addOrigins, originName, readOrigins } from './origins.ts'

/**
 * What keeps a blob that is there from those who only know its digest: it counts as there for content from an origin that
 * has given these bytes, and from another repository of such a registry where that says that it has the blob. A registry that
 * never gave them may say what it likes.
 */
export interface Rights {
  /** Whether the blob, which is there, counts as such. Asks each origin once. */
  isShown(blob: Descriptor, options: AskOptions): Promise<boolean>
  /** The blob's bytes came from the origin, be it by its registry's other repositories alone. */
  show(blob: Descriptor, whence: 'repository' | 'registry'): Promise<void>
}

type AskOptions = Pick<OpenOptions, 'signal' | 'onRetry'>

/** Without an origin: of content that the caller has at hand. `keeps`: what is found is remembered; default yes. */
export function rightsFrom(layout: StoreLayout, origin: ContentOrigin | undefined, keeps = true): Rights {
  if (!origin) return { isShown: async () => true, show: async () => undefined }
  const { registry } = origin
  const name = originName(origin)
  const anywhere = originName({ registry, repository: '' })
  const refused = new Set<Digest>()
  const show: Rights['show'] = ({ digest }, whence) =>
    addOrigins(layout.origins(digest), [whence === 'registry' ? anywhere : name])
  return {
    show,
    async isShown(blob, options) {
      const known = await readOrigins(layout.origins(blob.digest))
      if (known.includes(name)) return true
      if (!known.some((other) => other.startsWith(anywhere)) || refused.has(blob.digest)) return false
      if (!(await says(origin, blob, options))) {
        refused.add(blob.digest)
        return false
      }
      if (keeps) await show(blob, 'repository')
      return true
    },
  }
}

/** Who is refused the question finds out by the blob itself. */
async function says(origin: ContentOrigin, blob: Descriptor, options: AskOptions): Promise<boolean> {
  try {
    return await origin.exists(blob, options)
  } catch (error) {
    if (isAppError(error) && error.retry === 'permanent' && error.upstream) return false
    throw error
  }
}
