import { registryId } from '../content/reference.ts'
import { matchesRepository } from '../content/repository-pattern.ts'
import { AppError } from '../lib/errors.ts'

/** What a token may touch, beside its scopes; what is left out limits nothing. Source: api.md "Auth". */
export interface Limits {
  /** host[:port]. */
  readonly registries?: readonly string[]
  /** `host/team/**`, as rules of policies have it; the host may be `*`. */
  readonly repositories?: readonly string[]
  /** Kinds of jobs. */
  readonly kinds?: readonly string[]
}

export const NO_LIMITS: Limits = Object.freeze({})

/** A repository; a component `*` is one that is not known yet, and only patterns that take any let it through. */
export interface Place {
  readonly registry: string
  readonly repository: string
}

/** What limits are called, as settings and bodies name them. */
export const LIMIT_NAMES = ['registries', 'repositories', 'kinds'] as const

export function isLimited({ registries, repositories, kinds }: Limits): boolean {
  return registries !== undefined || repositories !== undefined || kinds !== undefined
}

export function allowsPlace(limits: Limits, place: Place): boolean {
  return allowsRegistryByName(limits, place.registry) && anyPattern(limits, (pattern) => takes(pattern, place))
}

/** Whether some package may go below a namespace: its own name, one component more, is known later. */
export function allowsBelow(limits: Limits, { registry, namespace }: { registry: string; namespace: string }): boolean {
  return anyBelow(limits, { registry, path: namespace }, ({ named, open }, depth) =>
    open ? named <= depth : named === depth + 1,
  )
}

/** Whether all that lies at a registry, or below a path of it, may be touched: what is said of it counts for all of that. */
export function allowsAllBelow(limits: Limits, place: { registry: string; path: string }): boolean {
  return anyBelow(limits, place, ({ named, open }, depth) => open && named <= depth)
}

/** Whether anything at a registry, or at a path of it and below, may be touched. */
export function allowsSomeBelow(limits: Limits, place: { registry: string; path: string }): boolean {
  return anyBelow(limits, place, ({ named, open }, depth) => open || named >= depth)
}

/** Whether anything at a registry may be touched. */
export function allowsRegistry(limits: Limits, registry: string): boolean {
  return allowsRegistryByName(limits, registry) && anyPattern(limits, (pattern) => isOf(pattern, registry))
}

/** The registries that limits name, each as its registryId; undefined: any may be meant. */
export function namedRegistries({ registries, repositories }: Limits): readonly string[] | undefined {
  const named = registries ?? repositories?.map((pattern) => pattern.slice(0, pattern.indexOf('/')))
  return named?.includes('*') ? undefined : named && [...new Set(named.map(registryId))]
}

/** Whether it says where. */
export function namesPlaces({ registries, repositories }: Limits): boolean {
  return registries !== undefined || repositories !== undefined
}

/**
 * Whether `inner` reaches nowhere that `outer` does not: registries and kinds one by one; of repositories each pattern as it
 * stands in `outer`, or a plain repository that `outer` takes.
 */
export function within(outer: Limits, inner: Limits): boolean {
  const holds = (own: readonly string[] | undefined, given: readonly string[] | undefined, has: Has) =>
    own === undefined || given?.every((one) => has(own, one)) === true
  const sameHost: Has = (own, one) => own.some((other) => registryId(other) === registryId(one))
  return (
    holds(outer.registries, inner.registries, sameHost) &&
    holds(outer.kinds, inner.kinds, (own, kind) => own.includes(kind)) &&
    holds(outer.repositories, inner.repositories, (own, pattern) => own.includes(pattern) || takesPlain(own, pattern))
  )
}

type Has = (own: readonly string[], one: string) => boolean

/** Without any pattern in it, so that it is one repository. */
function takesPlain(patterns: readonly string[], text: string): boolean {
  if (text.includes('*')) return false
  const slash = text.indexOf('/')
  const place = { registry: text.slice(0, slash), repository: text.slice(slash + 1) }
  return patterns.some((pattern) => takes(pattern, place))
}

/** Whether a token was given these repositories by name, all of them: what lies there is its business, whoever brought it. */
export function covers(limits: Limits, places: readonly Place[]): boolean {
  if (!namesPlaces(limits)) return false
  return places.length > 0 && places.every((place) => allowsPlace(limits, place))
}

/** Throws TOKEN_LIMITED. */
export function requirePlace(who: Limited, place: Place): void {
  if (!allowsPlace(who.limits, place)) throw beyond(who, `${place.registry}/${place.repository}`)
}

/** As `allowsBelow`. Throws TOKEN_LIMITED. */
export function requireBelow(who: Limited, place: { registry: string; namespace: string }): void {
  if (!allowsBelow(who.limits, place)) throw beyond(who, [place.registry, place.namespace].filter(Boolean).join('/'))
}

/** Throws TOKEN_LIMITED. */
export function requireRegistry(who: Limited, registry: string): void {
  if (!allowsRegistry(who.limits, registry)) throw beyond(who, registry)
}

/** For what is said of a registry, or of a path of one, and counts for all that lies there. Throws TOKEN_LIMITED. */
export function requireAllBelow(who: Limited, place: { registry: string; path: string }): void {
  if (!allowsAllBelow(who.limits, place)) throw beyond(who, `all of ${pathShown(place)}`)
}

/** As `allowsSomeBelow`. Throws TOKEN_LIMITED. */
export function requireSomeBelow(who: Limited, place: { registry: string; path: string }): void {
  if (!allowsSomeBelow(who.limits, place)) throw beyond(who, pathShown(place))
}

/** Throws TOKEN_LIMITED. */
export function requireKind(who: Limited, kind: string): void {
  if (who.limits.kinds?.includes(kind) === false) throw beyond(who, `jobs of the kind ${kind}`)
}

/** For what jobs of any of these kinds use. Throws TOKEN_LIMITED. */
export function requireAnyKind(who: Limited, kinds: readonly string[]): void {
  if (!kinds.some((kind) => who.limits.kinds?.includes(kind) !== false))
    throw beyond(who, `what ${kinds.join(' and ')} read`)
}

/** For what belongs to no registry and counts for all of them. Throws TOKEN_LIMITED. */
export function requireUnlimited(who: Limited, what: string): void {
  if (isLimited(who.limits)) throw beyond(who, what)
}

interface Limited {
  readonly name: string
  readonly limits: Limits
}

function allowsRegistryByName({ registries }: Limits, registry: string): boolean {
  return registries === undefined || registries.some((one) => registryId(one) === registryId(registry))
}

function anyPattern({ repositories }: Limits, matches: (pattern: string) => boolean): boolean {
  return repositories === undefined || repositories.some(matches)
}

function takes(pattern: string, { registry, repository }: Place): boolean {
  return isOf(pattern, registry) && matchesRepository(repositoryOf(pattern), repository)
}

function isOf(pattern: string, registry: string): boolean {
  const host = pattern.slice(0, pattern.indexOf('/'))
  return host === '*' || registryId(host) === registryId(registry)
}

/** How many components a pattern names, and whether it takes all that follow. */
interface Reach {
  readonly named: number
  readonly open: boolean
}

/** Whether a pattern begins as the path does, and reaches as far below as is wanted; `depth`: components of the path. */
function anyBelow(
  limits: Limits,
  { registry, path }: { registry: string; path: string },
  reaches: (reach: Reach, depth: number) => boolean,
): boolean {
  const below = path === '' ? [] : path.split('/')
  return (
    allowsRegistryByName(limits, registry) &&
    anyPattern(limits, (pattern) => {
      const parts = repositoryOf(pattern).split('/')
      const open = parts.at(-1) === '**'
      const named = open ? parts.slice(0, -1) : parts
      return (
        isOf(pattern, registry) && reaches({ named: named.length, open }, below.length) && startsAlike(named, below)
      )
    })
  )
}

/** As far as both go. */
function startsAlike(named: readonly string[], below: readonly string[]): boolean {
  return named.slice(0, below.length).every((part, at) => part === '*' || part === below[at])
}

function pathShown({ registry, path }: { registry: string; path: string }): string {
  return [registry, path].filter(Boolean).join('/')
}

function repositoryOf(pattern: string): string {
  return pattern.slice(pattern.indexOf('/') + 1)
}

function beyond({ name, limits }: Limited, what: string): AppError {
  return new AppError('TOKEN_LIMITED', `"${name}" may not touch ${what.slice(0, 300)}`, {
    hint: 'GET /v1/session tells what the token is limited to; another token, or wider limits, let it through.',
    details: { limits },
  })
}
