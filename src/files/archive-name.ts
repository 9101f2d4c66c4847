import { AppError } from '../lib/errors.ts'

/** The file name alone decides the format. zarf-packages.md 1.1. */
const ARCHIVE = /\.tar(\.zst)?$/

export function isArchiveName(fileName: string): boolean {
  return ARCHIVE.test(fileName)
}

/** A Helm chart. */
export function isChartName(fileName: string): boolean {
  return fileName.endsWith('.tgz')
}

/** PACKAGE_FORMAT_UNSUPPORTED. `pointer`: of the field that named it, where one did. */
export function noArchive(fileName: string, hint: string, pointer?: string): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `"${fileName}" ends in neither .tar.zst nor .tar`, {
    hint,
    ...(pointer === undefined ? {} : { details: { pointer } }),
  })
}
