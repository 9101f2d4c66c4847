import { requirePlace } from '../../../access/limits.ts'
import { formatReference, parseReference } from '../../../content/reference.ts'
import type { JobOptions } from '../../../jobs/model/job-options.ts'
import { AppError } from '../../../lib/errors.ts'
import { tagPattern } from '../../../transfer/copy/tags.ts'
import { takesAll } from '../../../transfer/delete/retention.ts'
import type { JobBody } from '../../schemas/job.ts'
import { at, later } from '../package-reference.ts'
import { type Checked, type CheckOptions, goesNowhere, type KindOfJob } from './kind.ts'

/** The tags of a repository that its rules do not keep. */
export const retention = {
  options: ['retention', 'force', 'dryRun', 'plainHttp', 'trace'],
  needsDestination: false,
  check: checkRetention,
  registries: ({ source }) => [parseReference(source).registry],
} as const satisfies KindOfJob

async function checkRetention(body: JobBody, { mayName, caller }: CheckOptions): Promise<Checked> {
  if (body.destination !== undefined) throw goesNowhere('retention')
  const reference = at('/source', parseReference, body.source)
  const { registry, tag, digest } = reference
  if (tag !== undefined || digest !== undefined) throw noRepository()
  checkRules(body.options)
  at('/source', () => requirePlace(caller, reference), undefined)
  await later('/source', mayName, registry)
  return { source: formatReference(reference), destination: null, queueHost: registry, registries: [registry] }
}

/** A rule that takes any tag there may be is meant, or a mistake that nothing brings back. */
function checkRules({ retention: asked, force = false, dryRun = false }: JobOptions = {}): void {
  if (!asked) throw noRules()
  for (const [place, { tags, except = [] }] of asked.rules.entries()) {
    const here = `/options/retention/rules/${place}`
    tags.forEach((pattern, index) => at(`${here}/tags/${index}`, tagPattern, pattern))
    except.forEach((pattern, index) => at(`${here}/except/${index}`, tagPattern, pattern))
    const all = tags.findIndex(takesAll)
    if (all !== -1 && except.length === 0 && !force && !dryRun) throw forced(`${here}/tags/${all}`, tags[all] ?? '')
  }
}

function noRepository(): AppError {
  return new AppError('BODY_INVALID', 'the source of a retention is a repository, without a tag or a digest', {
    hint: 'For example "source": "oci://registry.example/team/nemo"; one tag goes with "kind": "delete".',
    details: { pointer: '/source' },
  })
}

function noRules(): AppError {
  return new AppError('BODY_INVALID', 'the field "options.retention" is missing: a retention needs rules', {
    hint: 'For example "options": {"retention": {"rules": [{"tags": ["nightly-*"], "keepNewest": 5}]}}.',
    details: { pointer: '/options/retention' },
  })
}

function forced(pointer: string, pattern: string): AppError {
  return new AppError('RETENTION_MATCHES_ALL', `the pattern "${pattern}" takes every tag`, {
    hint: 'Name what is meant, keep some with "except", or say "options.force": true. A dry run lists what would go.',
    details: { pointer },
  })
}
