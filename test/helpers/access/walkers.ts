import type { Subject } from './routes.ts'
import type { Person } from './world.ts'

/** What one owner has of a thing: all of a job or an upload, its own pulls of a package. */
export interface Part {
  readonly owner: string
  /** Repositories that it is about. */
  readonly places: readonly string[]
  /** What only it says. */
  readonly words: readonly string[]
  /** The thing that a job is to publish: who sees the job is told its name, which opens nothing. */
  readonly source?: string
}

export interface Kept {
  readonly kind: Subject
  readonly id: string
  parts: readonly Part[]
}

export interface Walker extends Person {
  readonly token: string
  /** Whether things are made in its name. */
  readonly owns: boolean
  /** The model: what it may see. */
  sees(part: Part): boolean
  /** Of what it sees. */
  readonly changesAll: boolean
}

const SCOPES = ['jobs:write', 'jobs:cancel', 'packages:write', 'packages:delete', 'uploads:write', 'registries:read']
const NAMES = { ann: 'ann-5f0c1', bob: 'bob-77ad2', cov: 'cov-1b9e3', low: 'low-e44d4', ops: 'ops-20cf5' } as const

/** Two who own things, one whose token was given repositories, one who may only read and sees all, and one who may all. */
export function walkers(registry: string): readonly Walker[] {
  const own = (name: string) => (part: Part) => part.owner === name
  const covered = ({ places }: Part) => places.length > 0 && places.every((place) => place.startsWith('team/'))
  const { ann, bob, cov, low, ops } = NAMES
  return [
    { token: 't-ann', name: ann, scopes: SCOPES, owns: true, sees: own(ann), changesAll: false },
    { token: 't-bob', name: bob, scopes: SCOPES, owns: true, sees: own(bob), changesAll: false },
    {
      token: 't-cov',
      name: cov,
      scopes: SCOPES,
      limits: `repositories=${registry}/team/**`,
      owns: true,
      sees: (part) => own(cov)(part) || covered(part),
      changesAll: false,
    },
    {
      token: 't-low',
      name: low,
      scopes: ['jobs:read', 'packages:read'],
      owns: false,
      sees: own(low),
      changesAll: false,
    },
    { token: 't-ops', name: ops, scopes: ['*'], owns: true, sees: () => true, changesAll: true },
  ]
}

export function isHidden(who: Walker, { parts }: Kept): boolean {
  return !parts.some((part) => who.sees(part))
}

/** What no answer to somebody may say, unless it was asked with it: of what is hidden, and names of those who only have such. */
export function hiddenWords(who: Walker, things: readonly Kept[]): ReadonlySet<string> {
  const parts = things.flatMap((thing) => thing.parts)
  const names = Object.values(NAMES).filter(
    (name) => name !== who.name && !parts.some((part) => part.owner === name && who.sees(part)),
  )
  const named = new Set(parts.filter((part) => who.sees(part)).map(({ source }) => source))
  const ids = things.filter((thing) => isHidden(who, thing) && !named.has(thing.id)).map(({ id }) => id)
  return new Set([...ids, ...parts.filter((part) => !who.sees(part)).flatMap(({ words }) => words), ...names])
}

/** What is left of a package after somebody has deleted it: their own pulls go, or without any those that they may change. */
export function partsLeft(who: Walker, { parts }: Kept): readonly Part[] {
  const others = parts.filter(({ owner }) => owner !== who.name)
  return others.length < parts.length ? others : parts.filter((part) => !who.sees(part))
}
