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
