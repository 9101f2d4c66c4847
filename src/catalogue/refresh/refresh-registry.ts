import type { CatalogueRecords } from '../../jobs/catalogue/catalogue.ts'
import type { WaitingRepository } from '../../jobs/catalogue/catalogue-work.ts'
import type { CatalogueFailure, CatalogueProblem, CatalogueSource } from '../../jobs/model/catalogue.ts'
import type { Clock } from '../../lib/clock.ts'
import { type AppError, isAppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import type { RegistryClient } from '../../oci/registry.ts'
import { lookAtRepository } from '../facts/look-at-repository.ts'
import { packagesOf } from '../facts/packages-of.ts'
import { isNamedAlone, isWanted, listRepositories, namedRepositories } from '../listers/listed.ts'
import type { Pace } from './pace.ts'
import { pacedRepository } from './paced-repository.ts'

export interface RefreshLimits {
  /** Asked of one registry, whatever else it is asked for. LAYERD_CATALOG_REQUESTS. */
  readonly requestsPerSecond: number
  /** Kept of one registry. LAYERD_CATALOG_TAGS. */
  readonly tags: number
  /** Kept of one repository, the highest. */
  readonly tagsPerRepository: number
  readonly repositories: number
}

export interface RefreshOptions {
  source: CatalogueSource
  records: Pick<CatalogueRecords, 'sources' | 'content' | 'work'>
  /** With the daemon's own credentials. A client knows every repository that it was asked for: it is made anew for some at a time. */
  clientFor: (signal: AbortSignal) => RegistryClient
  limits: RefreshLimits
  pace: Pace
  clock: Clock
  logger: Logger
  signal: AbortSignal
}

/** Repositories that are looked into before it is asked whether the catalogue is still to have the registry. */
const BATCH = 16
const KEPT_PROBLEMS = 20
/** What fails so often in a row is the registry's fault, and each try of it waits. */
const MOST_FAILURES = 5
/** A registry that cannot be asked is tried again after this, or its own time where that is less. */
const RETRY_MS = 300_000

/**
 * Does what there is to do for a registry: lists its repositories where that is due, and looks into all that wait. What was
 * begun by another process goes on where that stood. Throws the signal's reason, QUEUE_UNAVAILABLE.
 */
export async function refreshRegistry(options: RefreshOptions): Promise<void> {
  const { source, records, clock, logger } = options
  const { work } = records
  const { host } = source
  const before = await work.state(host)
  const isDue = before.phase === 'idle' && before.nextAt <= clock.now()
  if (isDue) await work.note(host, { ...CLEAN, phase: 'listing', startedAt: clock.now() })
  try {
    if (isDue || before.phase === 'listing') {
      await list(options)
      await work.note(host, { phase: 'looking' })
    }
    if (!(await lookAtAll(options))) return
    const { phase, repositories, tags, problemCount } = await work.state(host)
    if (phase === 'idle') return
    const now = clock.now()
    await work.note(host, { phase: 'idle', finishedAt: now, nextAt: now + source.refreshSeconds * 1000 })
    logger.info(
      { registry: host, repositories, tags, problems: problemCount },
      'the catalogue of a registry is up to date',
    )
  } catch (error) {
    options.signal.throwIfAborted()
    if (!isAppError(error) || error.code === 'QUEUE_UNAVAILABLE') throw error
    const nextAt = clock.now() + Math.min(RETRY_MS, source.refreshSeconds * 1000)
    await work.note(host, { phase: 'idle', nextAt, failure: failureOf(error) })
    logger.warn(
      { registry: host, code: error.code, detail: error.message },
      'the catalogue of a registry was not refreshed',
    )
  }
}

const CLEAN = { failure: null, problems: [], problemCount: 0, truncated: false } as const

/** All repositories that there are wait from then on; those that are gone, go. Throws what keeps all of them from being asked for. */
async function list(options: RefreshOptions): Promise<void> {
  const { source, records } = options
  const { work, content } = records
  const { host } = source
  const { names, truncated, failure } = await listed(options)
  for await (const known of knownNames(records, host)) {
    // What cannot be listed may be there all the same: looking tells.
    const stays = failure ? known.filter((name) => isWanted(source, name)) : []
    for (const name of stays) names.add(name)
    await content.remove(
      host,
      known.filter((name) => !names.has(name)),
    )
  }
  await work.add(host, [...names])
  await work.note(host, { truncated, failure: failure ? failureOf(failure) : null })
}

interface Listed {
  readonly names: Set<string>
  readonly truncated: boolean
  /** The registry does not tell. */
  readonly failure?: AppError
}

async function listed({ source, clientFor, limits, pace, signal }: RefreshOptions): Promise<Listed> {
  const names = new Set<string>(namedRepositories(source))
  if (isNamedAlone(source)) return { names, truncated: false }
  try {
    const listing = await clientFor(signal).listing(source.host)
    for await (const page of listRepositories(listing, source, { turn: () => pace.turn(signal), signal })) {
      for (const name of page.slice(0, limits.repositories - names.size)) names.add(name)
      if (page.some((name) => !names.has(name))) return { names, truncated: true }
    }
    return { names, truncated: false }
  } catch (error) {
    if (!isAppError(error) || error.code !== 'REGISTRY_NOT_LISTED') throw error
    return { names, truncated: false, failure: error }
  }
}

const NAMES = 1000

async function* knownNames(
  { content }: Pick<RefreshOptions['records'], 'content'>,
  host: string,
): AsyncGenerator<readonly string[], void> {
  let last = ''
  for (;;) {
    const names = await content.names(host, last, NAMES)
    if (names.length === 0) return
    last = names.at(-1) ?? ''
    yield names
  }
}

/** False where it ended early, as the catalogue is to have the registry otherwise, or no more. */
async function lookAtAll(options: RefreshOptions): Promise<boolean> {
  const { source, records } = options
  const { sources, work, content } = records
  const { host } = source
  let failures = 0
  for (;;) {
    const now = await sources.get(host)
    if (now?.revision !== source.revision) {
      if (now) await work.note(host, { phase: 'idle', nextAt: 0 })
      else await content.clear(host)
      return false
    }
    const batch = await work.next(host, BATCH)
    if (batch.length === 0) return true
    const client = options.clientFor(options.signal)
    const found: Found = { problems: [], truncated: false }
    for (const waiting of batch) {
      const error = await tryOne(waiting, { client, found, options })
      failures = error?.retry === 'transient' ? failures + 1 : 0
      if (error && failures >= MOST_FAILURES) {
        await tell(options, found)
        throw error
      }
      await work.done(host, waiting)
    }
    await tell(options, found)
  }
}

interface Found {
  readonly problems: CatalogueProblem[]
  truncated: boolean
}

/** Why a repository could not be looked into. Throws what ends the refresh. */
async function tryOne(
  waiting: WaitingRepository,
  { client, found, options }: { client: RegistryClient; found: Found; options: RefreshOptions },
): Promise<AppError | undefined> {
  try {
    const { problems, truncated } = await lookAtOne(waiting, client, options)
    found.problems.push(...problems)
    found.truncated ||= truncated
    return undefined
  } catch (error) {
    options.signal.throwIfAborted()
    if (!isAppError(error) || error.code === 'QUEUE_UNAVAILABLE') throw error
    const { code, message } = error
    found.problems.push({ repository: waiting.repository, tag: null, code, detail: message })
    return error
  }
}

async function tell({ source, records }: RefreshOptions, found: Found): Promise<void> {
  if (found.problems.length === 0 && !found.truncated) return
  const { problems, problemCount, truncated } = await records.work.state(source.host)
  await records.work.note(source.host, {
    problems: [...problems, ...found.problems.map(cut)].slice(0, KEPT_PROBLEMS),
    problemCount: problemCount + found.problems.length,
    truncated: truncated || found.truncated,
  })
}

function cut({ detail, ...problem }: CatalogueProblem): CatalogueProblem {
  return { ...problem, detail: detail.slice(0, 500) }
}

async function lookAtOne(
  { repository: name }: WaitingRepository,
  client: RegistryClient,
  { source, records, limits, pace, signal }: RefreshOptions,
): Promise<{ problems: readonly CatalogueProblem[]; truncated: boolean }> {
  const { content, work } = records
  const { host } = source
  const known = await content.tags(host, name)
  const isKept = isWanted(source, name)
  const repository = pacedRepository(await client.repository(host, name), () => pace.turn(signal))
  const looked = isKept
    ? await lookAtRepository({ repository, known, mostTags: limits.tagsPerRepository, signal })
    : { tags: undefined, problems: [], more: 0 }
  const { tags, problems, more } = looked
  if (tags === undefined || tags.length === 0) {
    if (known.length > 0 || !isKept) await content.remove(host, [name])
    return { problems, truncated: false }
  }
  const state = await work.state(host)
  if (state.tags - known.length + tags.length > limits.tags) return { problems, truncated: true }
  await content.write(host, { repository: name, packages: packagesOf(tags), tags }, known.length)
  return { problems, truncated: more > 0 }
}

function failureOf({ code, message, hint }: AppError): CatalogueFailure {
  return { code, detail: message.slice(0, 500), hint: hint?.slice(0, 500) ?? null }
}
