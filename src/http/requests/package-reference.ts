import { manifestName, parseReference, type Reference } from '../../content/reference.ts'
import { withContext } from '../../lib/errors.ts'

/** A reference that names a version, by tag or digest. Throws REFERENCE_INVALID naming the field by its JSON pointer. */
export function parsePackageReference(text: string, pointer: string): Reference {
  const reference = at(pointer, parseReference, text)
  at(pointer, manifestName, reference)
  return reference
}

export function at<T, I>(pointer: string, parse: (input: I) => T, input: I): T {
  try {
    return parse(input)
  } catch (error) {
    throw withContext(error, { details: { pointer } })
  }
}

/** As `at`, for a check that has to look something up. */
export async function later<I>(pointer: string, check: (input: I) => void | Promise<void>, input: I): Promise<void> {
  try {
    await check(input)
  } catch (error) {
    throw withContext(error, { details: { pointer } })
  }
}

/** Throws REGISTRY_NOT_ALLOWED for a registry that callers may not name. */
export type MayName = (registry: string) => void | Promise<void>
