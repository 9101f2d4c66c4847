import type { JobCredentials } from '../../../jobs/model/requests.ts'
import type { JobOptions } from '../../../jobs/model/job-options.ts'
import { AppError } from '../../../lib/errors.ts'

/** Stands for a value that only the job's run sees. */
const SEALED = '***'

/**
 * Takes out of a deploy's options what its caller calls sensitive: the options as everybody may see them, and the values, which are sealed with the
 * job's credentials. Throws BODY_INVALID for a name that `set` does not have.
 */
export function sealVariables({ set = {}, sensitive = [], ...options }: JobOptions): {
  options: JobOptions
  variables: Record<string, string>
} {
  const at = sensitive.findIndex((name) => !Object.hasOwn(set, name))
  if (at !== -1) throw notSet(sensitive[at] ?? '', at)
  const hidden = new Set(sensitive)
  const shown = Object.entries(set).map(([name, value]) => [name, hidden.has(name) ? SEALED : value] as const)
  return {
    options: {
      ...options,
      ...(shown.length === 0 ? {} : { set: Object.fromEntries(shown) }),
      ...(hidden.size === 0 ? {} : { sensitive: [...hidden] }),
    },
    variables: Object.fromEntries([...hidden].map((name) => [name, set[name] ?? ''])),
  }
}

/** With what the caller sent for registries. */
export function withVariables(
  credentials: JobCredentials | undefined,
  variables: Readonly<Record<string, string>>,
): JobCredentials | undefined {
  if (Object.keys(variables).length === 0) return credentials
  return { registry: '', ...credentials, variables }
}

function notSet(name: string, at: number): AppError {
  return new AppError('BODY_INVALID', `"options.sensitive" names ${name}, which "options.set" does not have`, {
    hint: 'Give its value in "options.set": it is taken out there, and kept sealed.',
    details: { pointer: `/options/sensitive/${at}` },
  })
}
