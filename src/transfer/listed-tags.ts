import { isAppError } from '../lib/errors.ts'
import type { Repository } from '../oci/registry.ts'

/** Many registries list tags to fewer people than may pull. */
export async function listTags(repository: Repository, signal: AbortSignal): Promise<readonly string[] | null> {
  try {
    return await repository.tags({ signal })
  } catch (error) {
    if (!isAppError(error) || error.retry !== 'permanent') throw error
    return null
  }
}
