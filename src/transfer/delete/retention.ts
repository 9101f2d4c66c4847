import { type Digest, isDigest } from '../../content/digest.ts'
import { formatReference, type Reference } from '../../content/reference.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { AppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import { subjectTag } from '../../oci/manifests/referrers.ts'
import { lookingOnly, tellDone } from '../dry-run.ts'
import { carryOut, type RemovalPlan } from './carry-out.ts'
import { createdOf } from './created.ts'
import { withEarlier } from './delete.ts'
import { createGraph, type Graph } from './graph.ts'
import { announce, closeRows, plannedOutcome, planRemoval, type Wanted } from './plan.ts'
import type { DeleteDependencies, KeptItem, RemovalOutcome, RemovedItem } from './request.ts'
import { asksCreated, judge, matchesAll, type RetentionRule, ruleOfEach } from './rules.ts'
import { lookAt, type Named, type Survey, surveyTags } from './survey.ts'

export { NEWEST_BY, type RetentionRule, takesAll } from './rules.ts'

export interface RetentionRequest {
  /** A repository: without tag and digest. */
  reference: Reference
  rules: readonly RetentionRule[]
  /** Also what was left without a tag: what clients keep for manifests that are gone. */
  untagged: boolean
  /** Also where no tag is left then. */
  force: boolean
}

/** Beside what removal has: how many tags were left for another run. */
export interface RetentionOutcome extends RemovalOutcome {
  readonly more: number
}

/** Each has a few manifests, and a result tells of all. */
const MOST_TAGS = 500
const LOOKED_AT_ONCE = 8

/**
 * Deletes the tags of a repository that its rules do not keep, at most 500 at a time, as `deleteReference` deletes each. Throws
 * RETENTION_MATCHES_ALL where no tag would be left and that was not forced, REGISTRY_*, TAGS_TOO_MANY, JOB_FENCED, JOB_CANCELED.
 */
export async function retain(request: RetentionRequest, dependencies: DeleteDependencies): Promise<RetentionOutcome> {
  const noted = (await dependencies.notes?.load()) ?? []
  const { more, all, ...plan } = await prepare(request, noted, dependencies)
  if (all && !request.force) throw all
  await announce(plan, dependencies)
  const { removed, kept, problems } = await carryOut(plan, dependencies)
  if (removed.length === 0 && problems[0]) throw problems[0]
  closeRows(plan, removed, dependencies.onEvent)
  return { ...plan.named, removed: withEarlier(removed, noted, kept), kept, problems, more }
}

/** What that would do, without a request that writes. */
export async function planRetention(
  request: RetentionRequest,
  dependencies: DeleteDependencies,
): Promise<RetentionOutcome> {
  const { more, all, ...plan } = await prepare(request, [], lookingOnly(dependencies))
  tellDone(dependencies.onEvent)
  const planned = plannedOutcome(plan, plan.named)
  const refusals = all && !request.force ? [all] : []
  return { ...planned, problems: [...planned.problems, ...refusals], more }
}

interface Prepared extends RemovalPlan {
  named: Pick<RemovalOutcome, 'reference' | 'digest'>
  more: number
  /** Why this would be too much, where that was not forced. */
  all: AppError | undefined
}

async function prepare(
  { reference, rules, untagged }: RetentionRequest,
  noted: readonly RemovedItem[],
  dependencies: DeleteDependencies,
): Promise<Prepared> {
  const { signal, onEvent } = dependencies
  onEvent({ type: 'phase', phase: 'planning' })
  const { registry, repository: name } = reference
  const where = formatReference({ registry, repository: name })
  const repository = await dependencies.repository(registry, name)
  const survey = await surveyTags(repository, signal)
  if (survey instanceof AppError) throw survey
  const graph = createGraph({ repository, where, signal })
  const wanted = await wantedOf(rules, survey, { repository, graph, signal })
  const orphans = untagged ? await orphansOf(repository, survey, signal) : new Map<string, string>()
  const tags = new Map([...wanted.tags].slice(0, MOST_TAGS))
  const more = wanted.tags.size - tags.size
  const own = [...survey.keys()].filter((tag) => subjectTag(tag) === undefined).length
  const all = own > 0 && wanted.tags.size === own ? matchesAll(where, own) : undefined
  const plan = await planRemoval({ ...wanted, tags: new Map([...tags, ...orphans]) }, survey, {
    repository,
    where,
    noted,
    signal,
  })
  if (more > 0) {
    const message = `${more} tags more would go: at most ${MOST_TAGS} go in one job, so run it again`
    onEvent({ type: 'log', level: 'warn', message })
  }
  return { ...plan, named: { reference: where, digest: '' }, more, all }
}

/** What the rules do not keep, the oldest in the registry's order first. */
async function wantedOf(
  rules: readonly RetentionRule[],
  survey: Survey,
  options: { repository: Repository; graph: Graph; signal: AbortSignal },
): Promise<Wanted> {
  const own = [...survey.keys()].filter((tag) => subjectTag(tag) === undefined)
  const ruleOf = ruleOfEach(own, rules)
  const dated = new Map([...survey].filter(([tag]) => asks(ruleOf.get(tag))))
  const created = await createdOf(dated, options)
  const tags = new Map<string, string>()
  const kept: KeptItem[] = []
  const now = Date.now()
  for (const rule of rules) {
    const candidates = own
      .filter((tag) => ruleOf.get(tag) === rule)
      .map((tag) => ({ tag, digest: (survey.get(tag) as Named).digest, created: created.get(tag) }))
    const judged = judge(rule, candidates, now)
    for (const [tag, why] of judged.going) tags.set(tag, why)
    kept.push(...judged.kept)
  }
  return { tags, kept }
}

function asks(rule: RetentionRule | undefined): boolean {
  return rule !== undefined && asksCreated(rule)
}

/** Tags that clients keep for a manifest which is gone. */
async function orphansOf(
  repository: Repository,
  survey: Survey,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const kept = new Map<Digest, string[]>()
  for (const tag of survey.keys()) {
    const [, hex] = /^sha256-([0-9a-f]{64})$/.exec(subjectTag(tag) ?? '') ?? []
    if (hex === undefined) continue
    const subject = `sha256:${hex}`
    if (!isDigest(subject)) continue
    kept.set(subject, [...(kept.get(subject) ?? []), tag])
  }
  const found = new Map<string, string>()
  await forEachConcurrent(kept, { limit: LOOKED_AT_ONCE, signal }, async ([subject, tags], stop) => {
    if (await lookAt(repository, subject, stop)) return
    for (const tag of tags) found.set(tag, `it is kept for ${subject}, which is gone`)
  })
  return found
}
