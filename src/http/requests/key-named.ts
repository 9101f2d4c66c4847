import { keyNotFound, type KeyRecords } from '../../jobs/keys/key-records.ts'
import { AppError } from '../../lib/errors.ts'

export type KeyNames = Pick<KeyRecords, 'get'>

/** Throws KEY_NOT_FOUND; KEY_INVALID for a public key that is to sign. */
export async function keyNamed({
  keys,
  name,
  signs = false,
}: {
  keys: KeyNames
  name: string
  signs?: boolean
}): Promise<void> {
  const found = await keys.get(name)
  if (!found) throw keyNotFound(name)
  if (signs && found.kind === 'public') {
    throw new AppError('KEY_INVALID', `the key ${name} is a public one, which verifies and does not sign`, {
      hint: 'Name a key with its private half.',
    })
  }
}

/** Which tags are there is told by digests, and what is signed anew has another each time. */
export function signsEachTime(): AppError {
  return new AppError('BODY_INVALID', '"options.sign" does not go with "options.tags"', {
    hint: 'Whatever is signed becomes another package, so each run would copy all tags again: copy them one by one.',
    details: { pointer: '/options/sign' },
  })
}
