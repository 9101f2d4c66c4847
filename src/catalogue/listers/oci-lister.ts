import type { RepositoryLister } from './lister.ts'

/** `_catalog`, which all may have. */
export const ociLister: RepositoryLister = {
  isFor: () => true,
  async *list(listing, { turn, signal }) {
    await turn()
    for await (const names of listing.repositories({ signal })) {
      yield names
      await turn()
    }
  },
}
