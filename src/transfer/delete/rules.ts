import type { Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import type { Pattern } from '../../lib/patterns/path-match.ts'
import { tagPattern } from '../copy/tags.ts'
import type { KeptItem } from './request.ts'
import { compareVersions, type Version, versionOf } from './versions.ts'

/** By what a tag is newer than another: the version that it says, or when what lies there says that it was made. */
export const NEWEST_BY = ['version', 'created'] as const
export type NewestBy = (typeof NEWEST_BY)[number]

/** What becomes of tags. Each is judged by the first rule that it matches; one that matches none stays. */
export interface RetentionRule {
  /** Patterns, as Go's path.Match has them. */
  readonly tags: readonly string[]
  /** Of these, patterns of what stays all the same. */
  readonly except?: readonly string[]
  /** How many of these stay, the newest. Default: none for being new. */
  readonly keepNewest?: number
  /** Default: version. */
  readonly newestBy?: NewestBy
  /** What was made within so many days stays. Default: age is no reason. */
  readonly olderThanDays?: number
}

/** A tag, as a rule looks at it. */
export interface Candidate {
  readonly tag: string
  readonly digest: Digest
  /** When it was made, ms since the epoch; undefined where nothing says so, or where no rule asks. */
  readonly created: number | undefined
}

export interface Judgement {
  /** Tags that go, with why. */
  readonly going: ReadonlyMap<string, string>
  readonly kept: readonly KeptItem[]
}

const DAY_MS = 86_400_000

/** The rule of each tag that one matches. Throws BODY_INVALID for what is no pattern. */
export function ruleOfEach(
  tags: Iterable<string>,
  rules: readonly RetentionRule[],
): ReadonlyMap<string, RetentionRule> {
  const read = rules.map((rule) => ({ rule, ...patternsOf(rule) }))
  const found = new Map<string, RetentionRule>()
  for (const tag of tags) {
    const first = read.find(({ tags: wanted, except }) => any(wanted, tag) && !any(except, tag))
    if (first && !read.some(({ tags: wanted, except }) => any(wanted, tag) && any(except, tag)))
      found.set(tag, first.rule)
  }
  return found
}

/** Whether a rule has to know when things were made. */
export function asksCreated({ newestBy, keepNewest, olderThanDays }: RetentionRule): boolean {
  return olderThanDays !== undefined || (keepNewest !== undefined && newestBy === 'created')
}

/** Whether a pattern takes any tag there may be. */
export function takesAll(pattern: string): boolean {
  const rest = pattern.replaceAll('*', '')
  return pattern !== rest && (rest === '' || rest === '?')
}

/** What goes of the tags of one rule. What can't be compared, or dated, stays. */
export function judge(rule: RetentionRule, candidates: readonly Candidate[], now: number): Judgement {
  const going = new Map<string, string>()
  const kept: KeptItem[] = []
  const newest = newestOf(rule, candidates)
  for (const candidate of candidates) {
    const { tag, digest } = candidate
    const stays = newest.get(tag) ?? tooYoung(rule, candidate, now)
    if (stays === undefined) going.set(tag, reasonOf(rule, candidate))
    else kept.push({ tag, digest, why: stays })
  }
  return { going, kept }
}

/** Tags that stay for being new, or because nobody knows how new they are, with why. */
function newestOf(rule: RetentionRule, candidates: readonly Candidate[]): ReadonlyMap<string, string> {
  const { keepNewest, newestBy = 'version' } = rule
  const stays = new Map<string, string>()
  if (keepNewest === undefined) return stays
  const sorted = newestBy === 'version' ? byVersion(candidates, stays) : byCreated(candidates, stays)
  for (const { tag } of sorted.slice(0, keepNewest)) stays.set(tag, `one of the newest ${keepNewest} by ${newestBy}`)
  return stays
}

function byVersion(candidates: readonly Candidate[], stays: Map<string, string>): readonly Candidate[] {
  const read = candidates.flatMap((candidate): { candidate: Candidate; version: Version }[] => {
    const version = versionOf(candidate.tag)
    if (!version) stays.set(candidate.tag, 'it is no version, so it cannot be told how new it is')
    return version ? [{ candidate, version }] : []
  })
  return read.toSorted((one, other) => compareVersions(other.version, one.version)).map(({ candidate }) => candidate)
}

function byCreated(candidates: readonly Candidate[], stays: Map<string, string>): readonly Candidate[] {
  for (const { tag, created } of candidates) if (created === undefined) stays.set(tag, UNDATED)
  return candidates
    .filter(({ created }) => created !== undefined)
    .toSorted((one, other) => (other.created ?? 0) - (one.created ?? 0))
}

const UNDATED = 'nothing says when it was made'

function tooYoung({ olderThanDays }: RetentionRule, { created }: Candidate, now: number): string | undefined {
  if (olderThanDays === undefined) return undefined
  if (created === undefined) return UNDATED
  return now - created > olderThanDays * DAY_MS
    ? undefined
    : `made within the last ${olderThanDays} days (${dayOf(created)})`
}

function reasonOf({ keepNewest, newestBy = 'version', olderThanDays }: RetentionRule, { created }: Candidate): string {
  const reasons = [
    ...(keepNewest === undefined ? [] : [`not one of the newest ${keepNewest} by ${newestBy}`]),
    ...(olderThanDays === undefined ? [] : [`made more than ${olderThanDays} days ago`]),
    ...(keepNewest === undefined && olderThanDays === undefined ? ['it matches'] : []),
  ]
  const date = created === undefined ? '' : ` (${dayOf(created)})`
  return `${reasons.join(', ')}${date}`
}

function dayOf(created: number): string {
  return new Date(created).toISOString().slice(0, 10)
}

function patternsOf({ tags, except = [] }: RetentionRule): { tags: readonly Pattern[]; except: readonly Pattern[] } {
  return { tags: tags.map(tagPattern), except: except.map(tagPattern) }
}

function any(patterns: readonly Pattern[], tag: string): boolean {
  return patterns.some((pattern) => pattern.matches(tag))
}

/** Where no tag would be left. */
export function matchesAll(where: string, count: number): AppError {
  return new AppError('RETENTION_MATCHES_ALL', `all ${count} tags of ${where} would go`, {
    hint: 'Keep some (keepNewest, except), or say "force": true where that is meant. A dry run lists them.',
    details: { tags: count },
  })
}
