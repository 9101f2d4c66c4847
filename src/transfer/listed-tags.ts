import { isAppError } from '../lib/errors.ts'
import type { Repository } from '../oci/registry.ts'

/** Null where the registry does not list them: many do so to fewer people than may pull. */
export async function tagsIfListed(repository: Repository, signal: AbortSignal): Promise<readonly string[] | null> {
  try {
    return await repository.tags({ signal })
  } catch (error) {
    if (!isAppError(error) || error.retry !== 'permanent') throw error
    return null
  }
}
