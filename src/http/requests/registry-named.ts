import { parseDestination } from '../../content/reference.ts'
import { AppError } from '../../lib/errors.ts'

/** Throws REFERENCE_INVALID. */
export function registryNamed(host: string): string {
  const { registry, namespace } = parseDestination(`oci://${host}`)
  if (namespace === '') return registry
  throw new AppError('REFERENCE_INVALID', `"${host}" is more than the host of a registry`, {
    hint: 'It is host[:port], percent-encoded; a repository goes into the body.',
  })
}
