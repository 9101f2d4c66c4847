import { basename } from 'node:path'
import { AppError } from '../../lib/errors.ts'
import { sizeText } from '../../lib/text.ts'

/** A whole file that somebody sent. */
export interface Upload {
  id: string
  /** The file name it was sent under. */
  name: string
  /** Bytes. */
  size: number
  /** Hexadecimal. */
  sha256: string
  /** Who sent it, where it was told. */
  principal?: string
}

/** Beside an upload's file, in its folder. */
export const RECORD = 'upload.json'
/** In front of a folder that is on its way in or out: nobody's but who made it. */
export const INCOMING = 'incoming-'
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function isUploadId(text: string): boolean {
  return ID.test(text)
}

/** The name becomes a file's name in the upload's own folder, beside our records. */
export function checkName(name: string, records: readonly string[] = [RECORD]): void {
  const plain = name === basename(name) && !/^\.{0,2}$/.test(name) && !/[\\\0]/.test(name)
  if (plain && !records.includes(name) && Buffer.byteLength(name) <= 255) return
  throw new AppError('REQUEST_INVALID', `"${name.slice(0, 300)}" cannot be the name of an uploaded file`)
}

export function checkSize(bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return
  throw new AppError('PAYLOAD_TOO_LARGE', `the upload is larger than the ${maxBytes} bytes allowed`, {
    details: { maxBytes },
  })
}

export function checkDigest({ sha256, size }: Pick<Upload, 'sha256' | 'size'>, expected: string | undefined): void {
  if (expected === undefined || expected === sha256) return
  throw new AppError(
    'BODY_DIGEST_MISMATCH',
    `the SHA-256 of the ${size} bytes that came is ${sha256}, not ${expected}`,
    {
      hint: 'Nothing of it was kept: send it again. If that does not help, the file changed after its digest was taken.',
      details: { expected, actual: sha256 },
    },
  )
}

/** What a disk or a connection says, as an error of ours. */
export function explain(error: unknown, maxBytes: number): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return full(error)
    case 'EFBIG':
      return new AppError('PAYLOAD_TOO_LARGE', 'the upload is larger than the file system allows', {
        details: Number.isFinite(maxBytes) ? { maxBytes } : {},
        cause: error,
      })
    case 'ECONNRESET':
    case 'ERR_STREAM_PREMATURE_CLOSE':
      return new AppError('UPLOAD_INTERRUPTED', 'the connection ended before the upload was whole', { cause: error })
    default:
      return error
  }
}

function full(cause: unknown): AppError {
  return new AppError('STORE_FULL', 'the disk of the data directory is full', {
    hint: 'Delete uploads or stored packages, or put the package into a folder of LAYERD_FILE_ROOTS on another disk and publish it from there.',
    cause,
  })
}

/** What `use` of a folder of uploads throws. */
export function noSuchUpload(id: string): AppError {
  return new AppError('UPLOAD_NOT_FOUND', `there is no upload ${id.slice(0, 64)}`, {
    hint: 'Uploads go 24 h after their last use: send it again with PUT /v1/uploads/{file name}.',
    details: { pointer: '/source' },
  })
}

/** What it throws of one that is still coming in. */
export function incompleteUpload({ id, offset, length }: { id: string; offset: number; length?: number }): AppError {
  const far = length === undefined ? `${offset} bytes` : `${offset} of ${length} bytes (${sizeText(length)})`
  return new AppError('UPLOAD_INCOMPLETE', `the upload ${id} is not whole yet: ${far} have come`, {
    hint: 'Send the rest of it (PATCH /v1/uploads/{id}, as tus clients do), then name it again.',
    details: { pointer: '/source', offset, length: length ?? null },
  })
}
