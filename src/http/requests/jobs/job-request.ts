import { requireKind } from '../../../access/limits.ts'
import { requireScope, scopesOfJob } from '../../../access/scopes.ts'
import { registryId } from '../../../content/reference.ts'
import type { Job, JobKind } from '../../../jobs/model/definitions.ts'
import type { JobOptions } from '../../../jobs/model/job-options.ts'
import type { NewJob } from '../../../jobs/model/requests.ts'
import { AppError } from '../../../lib/errors.ts'
import { readRequest } from '../../../trust/verification.ts'
import type { JobBody } from '../../schemas/job.ts'
import { type KeyNames, keyNamed, signsEachTime } from '../key-settings.ts'
import { at, later } from '../package-reference.ts'
import { seenBy } from '../seen.ts'
import { apply } from './apply.ts'
import { copy } from './copy.ts'
import { deletion } from './delete.ts'
import { deploy, remove } from './deploy.ts'
import type { CheckOptions, KindOfJob } from './kind.ts'
import { mirror } from './mirror.ts'
import { publish } from './publish.ts'
import { pull } from './pull.ts'
import { retention } from './retention.ts'
import { verify } from './verify.ts'

/** The kinds that this API can check and so accept. */
export const JOB_REQUESTS = {
  publish,
  copy,
  pull,
  verify,
  mirror,
  apply,
  delete: deletion,
  retention,
  deploy,
  remove,
} as const satisfies Partial<Record<JobKind, KindOfJob>>

export interface JobRequestOptions extends CheckOptions {
  kinds: ReadonlySet<JobKind>
}

/**
 * Checks what needs neither archive nor registry, so that a job that can't succeed is never made. Throws
 * SCOPE_MISSING, TOKEN_LIMITED, JOB_KIND_UNSUPPORTED, BODY_INVALID, REFERENCE_INVALID, TAG_INVALID, PACKAGE_FORMAT_UNSUPPORTED, REGISTRY_NOT_ALLOWED, KEY_*
 * and what checkPublishSource throws; each names the field by JSON pointer.
 */
export async function checkJobRequest(
  body: JobBody,
  options: JobRequestOptions,
): Promise<Omit<NewJob, 'principal' | 'requestId'>> {
  const { kind } = body
  if (!isChecked(kind) || !options.kinds.has(kind)) {
    throw new AppError('JOB_KIND_UNSUPPORTED', `jobs of the kind "${kind}" are not run here`, {
      hint: `Kinds that are: ${[...options.kinds].join(', ')}.`,
      details: { pointer: '/kind' },
    })
  }
  for (const scope of scopesOfJob(body)) requireScope(options.caller, scope)
  at('/kind', () => requireKind(options.caller, kind), undefined)
  refuseOtherOptions(body, JOB_REQUESTS[kind].options)
  if (body.options?.dryRun && body.options.sign) throw signsNothing()
  await checkKeys(body, options.keys)
  const { queueHost, registries, ...places } = await JOB_REQUESTS[kind].check(body, {
    ...options,
    ...seenBy(options.caller, options),
  })
  // A registry of several names has one queue, and is found by any of them.
  const named = { queueHost: registryId(queueHost), registries: [...new Set(registries.map(registryId))] }
  return { kind, options: body.options ?? {}, labels: body.labels ?? {}, ...places, ...named }
}

/** What a job verifies and signs with, as far as that is known now. Throws BODY_INVALID, KEY_INVALID, KEY_NOT_FOUND. */
async function checkKeys({ options: { verify, sign, tags } = {} }: JobBody, keys: KeyNames): Promise<void> {
  if (verify) at('/options/verify', readRequest, verify)
  if (verify?.keyRef !== undefined) await later('/options/verify/keyRef', keyNamed, { keys, name: verify.keyRef })
  if (!sign) return
  if (tags) throw signsEachTime()
  await later('/options/sign/keyRef', keyNamed, { keys, name: sign.keyRef, signs: true })
}

function isChecked(kind: JobKind): kind is keyof typeof JOB_REQUESTS {
  return Object.hasOwn(JOB_REQUESTS, kind)
}

/** The registries whose credentials a job may be given: the source of a pull or verify; else the destination, then a copy's source. */
export function registriesOf(job: Pick<Job, 'kind' | 'source' | 'destination'>): string[] {
  return isChecked(job.kind) ? JOB_REQUESTS[job.kind].registries(job) : []
}

/** Also not with a key that others keep, and what a signature would change is known once it is made. */
function signsNothing(): AppError {
  return new AppError('BODY_INVALID', 'a dry run makes no signature, so it takes no "options.sign"', {
    hint: 'Without it the plan is the same but for zarf.yaml, the signature, config and manifest, a few KiB.',
    details: { pointer: '/options/sign' },
  })
}

function refuseOtherOptions(body: JobBody, allowed: ReadonlyArray<keyof JobOptions>): void {
  const others = Object.keys(body.options ?? {}).filter((name) => !allowed.includes(name as keyof JobOptions))
  if (others.length === 0) return
  const code = 'BODY_INVALID'
  throw new AppError(code, `a ${body.kind} job takes no option ${others.map((name) => `"${name}"`).join(', ')}`, {
    hint: `It takes ${allowed.join(', ')}.`,
    details: {
      errors: others.map((name) => ({ pointer: `/options/${name}`, detail: `${body.kind} does not take it`, code })),
    },
  })
}
