import { allowsPlace, type Limits, namesPlaces, type Place } from '../../access/limits.ts'
import type { BlobPlaces } from '../../content/blob-places.ts'
import { AppError } from '../../lib/errors.ts'
import type { PublishDependencies } from '../../transfer/publish/publish.ts'

type OpenRepository = PublishDependencies['repository']

/** The repositories of one run: those that it may go to, and those that it knows of. */
export interface RunPlaces {
  /** Opens those alone that the job may touch, whatever it found out about itself meanwhile. Its result throws TOKEN_LIMITED. */
  within(open: OpenRepository): OpenRepository
  /**
   * Where blobs may be linked from. A registry reads there with the daemon's password, and what it links the job can pull: nothing comes
   * from where the job may not read.
   */
  hintsFrom(hints: BlobPlaces): BlobPlaces
  /** Whether the run has to do with it, so that what happens there is its business. */
  readonly knows: (place: Place) => boolean
}

/** `limits`: all of these have to let it; of who asked for the job, and of who let it go on. */
export function createRunPlaces({ principal, limits }: { principal: string; limits: readonly Limits[] }): RunPlaces {
  const known = new Set<string>()
  const allows = (place: Place): boolean => limits.every((each) => allowsPlace(each, place))
  const learn = (place: Place): void => void known.add(nameOf(place))
  return {
    within: (open) => async (registry, repository) => {
      const place = { registry, repository }
      if (!allows(place)) throw beyond(principal, place)
      learn(place)
      return await open(registry, repository)
    },
    hintsFrom(hints) {
      const kept = (registry: string, names: readonly string[]): string[] => {
        const allowed = names.filter((repository) => allows({ registry, repository }))
        for (const repository of allowed) learn({ registry, repository })
        return allowed
      }
      return {
        ...hints,
        anywhere: hints.anywhere !== false && !limits.some((each) => namesPlaces(each)),
        async find(registry, digests) {
          const found = [...(await hints.find(registry, digests))].map(
            ([digest, names]) => [digest, kept(registry, names)] as const,
          )
          return new Map(found.filter(([, names]) => names.length > 0))
        },
        repositories: async (registry) => kept(registry, await hints.repositories(registry)),
      }
    },
    knows: (place) => known.has(nameOf(place)),
  }
}

function nameOf({ registry, repository }: Place): string {
  return `${registry.toLowerCase()}/${repository}`
}

/** The limits themselves are told to the token's holder alone, and not to all who see the job. */
function beyond(principal: string, { registry, repository }: Place): AppError {
  return new AppError(
    'TOKEN_LIMITED',
    `the job may not touch ${registry}/${repository}: the token of "${principal}", or of who let it go on, is limited to other repositories`,
    {
      hint: 'GET /v1/session tells what a token is limited to. A package goes to the repository that its own name makes, which may not be that of its file.',
      upstream: { registry, repository },
    },
  )
}
