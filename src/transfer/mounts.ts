import type { BlobPlaces } from '../content/blob-places.ts'
import type { Descriptor } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import type { MountAnswer, MountCandidate } from '../content/endpoints.ts'
import type { Repository } from '../oci/registry.ts'

/** Smaller blobs are sent as quickly as asked for elsewhere, and packages have thousands of them. */
const WORTH_KNOWING_BYTES = 64 * 1024
/** From here on a repository that only may hold the blob is asked. */
const WORTH_A_GUESS_BYTES = 1024 * 1024
/** Known places asked for one blob: each that refuses costs a request. */
const MAX_PLACES = 2
const MAX_SIBLINGS = 2
/** Refusals in a row after which a guess is a bad one. */
const MAX_REFUSALS = 3

/** Where the blobs of one publish may be linked from. */
export interface Mounts {
  /** Looks these up ahead of need. */
  lookUp(digests: readonly Digest[]): void
  candidates(descriptor: Descriptor): Promise<readonly MountCandidate[]>
  /** As `sure` of MountsOptions. */
  readonly sure: string | undefined
  /** Of the candidates those that are known to have held it. */
  places(descriptor: Descriptor): Promise<readonly string[]>
  /** The repository has all of these now, and a manifest names them. */
  learn(blobs: readonly Descriptor[]): Promise<void>
}

export interface MountsOptions {
  repository: Repository
  /** Without them only `sure` is asked. */
  places?: BlobPlaces | undefined
  /** A repository that this job has sent everything to. */
  sure?: string | undefined
}

type Found = ReadonlyMap<Digest, readonly string[]>

export function createMounts({ repository, places, sure }: MountsOptions): Mounts {
  const { registry, repository: own } = repository
  const denied = new Set<string>()
  const lookUps: Array<Promise<Found>> = []
  const guesses = places ? createGuesses(places, repository, denied) : undefined

  const known = async ({ digest }: Descriptor): Promise<readonly string[]> => {
    for (const lookUp of lookUps) {
      const found = (await lookUp).get(digest)
      if (found) return found.filter((name) => name !== own && !denied.has(name)).slice(0, MAX_PLACES)
    }
    return []
  }
  const candidate = (name: string, { digest }: Descriptor): MountCandidate => ({
    repository: name,
    answered(answer) {
      if (answer === 'denied') denied.add(name)
      if (answer === 'refused') void places?.forget({ registry, repository: name }, digest)
    },
  })
  return {
    lookUp(digests) {
      if (places) lookUps.push(places.find(registry, digests))
    },
    sure,
    places: async (descriptor) => (descriptor.size < WORTH_KNOWING_BYTES ? [] : await known(descriptor)),
    async candidates(descriptor) {
      if (sure !== undefined) return [candidate(sure, descriptor)]
      if (!guesses || descriptor.size < WORTH_KNOWING_BYTES) return []
      const found = await known(descriptor)
      if (found.length > 0) return found.map((name) => candidate(name, descriptor))
      return descriptor.size < WORTH_A_GUESS_BYTES ? [] : await guesses.next()
    },
    async learn(blobs) {
      const worth = blobs.filter(({ size }) => size >= WORTH_KNOWING_BYTES)
      await places?.learn(
        repository,
        worth.map(({ digest }) => digest),
      )
    },
  }
}

/**
 * For what is known nowhere: the request that opens an upload session can as well ask for a mount. First from sibling
 * packages, then from wherever the registry itself finds the blob.
 */
function createGuesses(
  places: BlobPlaces,
  repository: Repository,
  denied: ReadonlySet<string>,
): { next(): Promise<readonly MountCandidate[]> } {
  let asked: Promise<Array<string | undefined>> | undefined
  let refusals = 0
  const list = async (): Promise<Array<string | undefined>> => {
    const used = await places.repositories(repository.registry)
    return [...siblings(repository.repository, used), ...(places.anywhere === false ? [] : [undefined])]
  }
  return {
    async next() {
      const left = await (asked ??= list())
      while (left[0] !== undefined && denied.has(left[0])) left.shift()
      if (left.length === 0) return []
      const [name] = left
      const answered = (answer: MountAnswer): void => {
        refusals = answer === 'mounted' ? 0 : refusals + 1
        if (refusals < MAX_REFUSALS || left[0] !== name) return
        left.shift()
        refusals = 0
      }
      return [{ repository: name, answered }]
    },
  }
}

/** The same package in another namespace (staging, production), then other packages of the same one. */
function siblings(own: string, used: readonly string[]): string[] {
  const others = used.filter((name) => name !== own)
  const sameName = others.filter((name) => lastPart(name) === lastPart(own))
  const sameNamespace = others.filter((name) => namespace(name) === namespace(own))
  return [...new Set([...sameName, ...sameNamespace])].slice(0, MAX_SIBLINGS)
}

function lastPart(repository: string): string {
  return repository.slice(repository.lastIndexOf('/') + 1)
}

function namespace(repository: string): string {
  return repository.slice(0, Math.max(0, repository.lastIndexOf('/')))
}
