import { formatReference, isTag } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import { subjectTag } from '../../oci/manifests/referrers.ts'
import type { Repository } from '../../oci/registry.ts'
import { compilePattern, type Pattern } from '../../lib/patterns/path-match.ts'

const LOOKED_AT_ONCE = 8
/** Long loops give way after so many. */
const BREATH = 500

export interface TagsToCopy {
  /** In the registry's order. */
  readonly missing: readonly string[]
  /** How many are at the destination as they are at the source. */
  readonly there: number
}

/** Those of the source's tags that a pattern names and that the destination lacks, or has with something else. */
export async function tagsToCopy(
  { source, destination }: { source: Repository; destination: Repository },
  patterns: readonly string[],
  signal: AbortSignal,
): Promise<TagsToCopy> {
  const wanted = await matching(await source.tags({ signal }), patterns.map(tagPattern))
  if (wanted.length === 0) throw noneMatches(source, patterns)
  const same = new Set<string>()
  await forEachConcurrent(wanted, { limit: LOOKED_AT_ONCE, signal }, async (tag, stop) => {
    const there = await destination.headManifest(tag, { signal: stop })
    if (there?.digest === undefined) return
    const here = await source.headManifest(tag, { signal: stop })
    if (here?.digest === there.digest) same.add(tag)
  })
  return { missing: wanted.filter((tag) => !same.has(tag)), there: same.size }
}

/** As Go's path.Match has it. Throws BODY_INVALID. */
export function tagPattern(text: string): Pattern {
  try {
    return compilePattern(text, 'BODY_INVALID')
  } catch {
    throw new AppError('BODY_INVALID', `"${text.slice(0, 160)}" is no pattern of tags`, {
      hint: '* and ? stand for characters, [0-9] for one of these: 1.2.*',
    })
  }
}

async function matching(tags: readonly string[], patterns: readonly Pattern[]): Promise<string[]> {
  const found: string[] = []
  for (const [at, tag] of tags.entries()) {
    if (at % BREATH === BREATH - 1) await nextTurn()
    // What clients keep under names made of digests goes along with what it is about (related.ts).
    if (!isTag(tag) || subjectTag(tag) !== undefined) continue
    if (patterns.some((pattern) => pattern.matches(tag))) found.push(tag)
  }
  return found
}

function noneMatches({ registry, repository }: Repository, patterns: readonly string[]): AppError {
  const where = formatReference({ registry, repository })
  return new AppError('MANIFEST_NOT_FOUND', `no tag of ${where} matches ${patterns.join(', ').slice(0, 300)}`, {
    side: 'source',
    upstream: { registry, repository },
    hint: 'layerd tags lists what there is; a registry also says so for what the credentials may not see.',
  })
}
