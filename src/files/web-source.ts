import { AppError } from '../lib/errors.ts'
import { hasUnseen } from '../lib/text.ts'
import { isArchiveName, noArchive } from './archive-name.ts'

/** A package archive that a web server has. */
export interface WebSource {
  /** Without user, password, query and fragment. */
  readonly url: URL
  /** The last part of its path, decoded; ends in .tar.zst or .tar. */
  readonly fileName: string
}

export function isWebSource(text: string): boolean {
  return /^https?:/i.test(text)
}

/**
 * Reads `https://host[:port]/path/NAME.tar.zst`. A job's source is shown to whoever may see the job, so what may be a secret (user,
 * password, query) is refused. Throws BODY_INVALID, which repeats none of it, and PACKAGE_FORMAT_UNSUPPORTED.
 */
export function parseWebSource(text: string): WebSource {
  const url = URL.parse(text)
  if (!url || url.protocol !== 'https:' || url.hostname === '') {
    throw invalid(
      'it is not an https:// address',
      'An address begins with https://; over plain HTTP nothing is fetched.',
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(
      'it holds a user or a password',
      'Packages are fetched without a login: put it where none is asked for, or upload it.',
    )
  }
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text)) {
    throw invalid(
      'it has a query or a fragment',
      'A query may hold a secret, and jobs are shown: name an address without, or upload the package.',
    )
  }
  return { url, fileName: fileNameOf(url) }
}

function fileNameOf({ pathname }: URL): string {
  const last = pathname.slice(pathname.lastIndexOf('/') + 1)
  const name = decoded(last)
  if (name === undefined || /[/\\\0]/.test(name) || hasUnseen(name) || name.length > 255) {
    throw invalid(
      'its last part is no file name',
      'For example https://host/path/zarf-package-name-amd64-1.0.0.tar.zst.',
    )
  }
  if (isArchiveName(name)) return name
  throw noArchive(name, 'The address of a package ends in the name that zarf gave its archive.', '/source')
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function invalid(why: string, hint: string): AppError {
  return new AppError('BODY_INVALID', `the source is not valid: ${why}`, { hint, details: { pointer: '/source' } })
}
