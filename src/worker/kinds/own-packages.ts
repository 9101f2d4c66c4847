import type { PullDependencies } from '../../transfer/pull/pull.ts'

type Store = PullDependencies['store']

/**
 * The store for a job of this principal, which was let through when it was made. Of a package that the principal pulled it has what
 * that brought; of one that was seen without a pull all of it, but not where others have it from.
 */
export function ownPackages(store: Store, principal: string): Store {
  return {
    ...store,
    packages: {
      ...store.packages,
      async get(digest) {
        const own = await store.packages.get(digest, ({ name }) => name === principal)
        if (own) return own
        const others = await store.packages.get(digest)
        return others && { ...others, references: [] }
      },
    },
  }
}
