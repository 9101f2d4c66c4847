import { readFileSync } from 'node:fs'
import { AppError } from '../lib/errors.ts'

/** A process's environment; an empty value counts as not set, as compose files and unit files write it. */
export type Env = Readonly<Record<string, string | undefined>>

/**
 * The setting `name`, or the content of the file that `name_FILE` points at, both without what surrounds it (a file's line end gets into a variable by `export
 * T="$(printf ...)"` and by Kubernetes secrets): so that a secret need
 * not stand in an environment that every child inherits. Throws CONFIG_INVALID when both are set or the file is unreadable.
 */
export function readSecret(env: Env, name: string): string | undefined {
  const value = env[name]?.trim() || undefined
  const file = env[`${name}_FILE`] || undefined
  if (file === undefined) return value
  if (value !== undefined) {
    throw new AppError('CONFIG_INVALID', `${name} and ${name}_FILE are both set`, { hint: 'Set one of them.' })
  }
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    throw new AppError('CONFIG_INVALID', `${name}_FILE: ${file} cannot be read (${why})`, { cause: error })
  }
}
