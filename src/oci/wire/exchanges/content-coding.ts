import { promisify } from 'node:util'
import { constants, gunzip, gunzipSync } from 'node:zlib'

const unzip = promisify(gunzip)

/**
 * What a small answer holds, whatever coding a proxy has put around it without being asked: requests say `identity`. Undefined
 * when it is longer than `limit`. Throws an error with the code HPE_INVALID_CONTENT_ENCODING for codings other than gzip
 * and for what is not in the coding that it says.
 */
export async function decoded(bytes: Buffer, coding: string | undefined, limit: number): Promise<Buffer | undefined> {
  if (isPlain(coding) || bytes.length === 0) return bytes
  if (!isGzip(coding)) throw wrong(`its Content-Encoding is ${coding}`)
  try {
    return await unzip(bytes, { maxOutputLength: limit })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return undefined
    throw wrong('it says Content-Encoding: gzip and is not')
  }
}

/** The same for the first bytes of an answer, which may end anywhere; as they are where they cannot be read. */
export function decodedStart(bytes: Buffer, coding: string | undefined, limit: number): Buffer {
  if (!isGzip(coding) || bytes.length === 0) return bytes
  try {
    return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: limit })
  } catch {
    return bytes
  }
}

/** Whether bytes come as they are stored. */
export function isPlain(coding: string | undefined): coding is undefined {
  return coding === undefined || coding === '' || coding.toLowerCase() === 'identity'
}

function isGzip(coding: string | undefined): boolean {
  return coding !== undefined && ['gzip', 'x-gzip'].includes(coding.toLowerCase())
}

function wrong(message: string): Error {
  return Object.assign(new Error(message), { code: 'HPE_INVALID_CONTENT_ENCODING' })
}
