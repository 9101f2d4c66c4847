import { parseRegistryPlace } from '../../content/reference.ts'
import { LOCAL_QUEUE } from '../../jobs/model/requests.ts'
import { AppError } from '../../lib/errors.ts'

/** What is meant for a whole registry. Throws REFERENCE_INVALID. */
export function registryNamed(text: string): string {
  const { registry, path } = parseRegistryPlace(text)
  if (path === '') return registry
  throw new AppError('REFERENCE_INVALID', `"${text.slice(0, 300)}" is more than the host of a registry`, {
    hint: 'It is host[:port]; a path is for credentials alone, and a repository goes into the body.',
  })
}

/** The host of a queue: a registry's, or that of jobs that go to none. Throws REFERENCE_INVALID. */
export function queueNamed(text: string): string {
  return text === LOCAL_QUEUE ? LOCAL_QUEUE : registryNamed(text)
}
