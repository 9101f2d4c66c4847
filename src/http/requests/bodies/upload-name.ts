import { noArchive } from '../../../files/archive-name.ts'
import { AppError } from '../../../lib/errors.ts'
import { hasUnseen } from '../../../lib/text.ts'

/** One plain file name: no folders, nothing hidden. The extension decides the format. */
const SAFE_NAME = /^[^./\\][^/\\]{0,250}$/u
const ARCHIVE = /\.(?:tar(\.zst)?(\.part[0-9]{3})?|tgz)$/

/** What an upload is to be: a package, or any file for an artifact, whatever its name ends in. */
export const UPLOADED_AS = ['package', 'file'] as const
export type UploadedAs = (typeof UPLOADED_AS)[number]

/** Throws REQUEST_INVALID, PACKAGE_FORMAT_UNSUPPORTED for what cannot be the name of a package that is sent. */
export function checkFileName(name: string, as: UploadedAs = 'package'): void {
  if (!SAFE_NAME.test(name) || hasUnseen(name)) {
    throw new AppError('REQUEST_INVALID', `"${name.slice(0, 300)}" is not a plain file name`, {
      hint: 'PUT /v1/uploads/zarf-package-name-amd64-1.0.0.tar.zst, without folders.',
    })
  }
  if (as === 'file' || ARCHIVE.test(name)) return
  throw noArchive(
    name,
    'Send the package, or each part of a split one, under the file name that zarf gave it; its extension decides the format. A file for an artifact is sent with ?as=file.',
  )
}
