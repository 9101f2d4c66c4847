import type { Repository } from '../../oci/registry.ts'

/** A repository whose every read waits for its turn. */
export function pacedRepository(repository: Repository, turn: () => Promise<void>): Repository {
  return {
    ...repository,
    async tags(options) {
      await turn()
      return await repository.tags(options)
    },
    async headManifest(reference, options) {
      await turn()
      return await repository.headManifest(reference, options)
    },
    async getManifest(reference, options) {
      await turn()
      return await repository.getManifest(reference, options)
    },
    async open(descriptor, options) {
      await turn()
      return await repository.open(descriptor, options)
    },
  }
}
