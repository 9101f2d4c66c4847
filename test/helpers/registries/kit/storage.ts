import { createHash } from 'node:crypto'
import type { Answer, RecordedRequest } from './exchange.ts'
import { bytesAnswer } from './blobs.ts'
import type { BlobWays } from './ways.ts'

/** Storage of its own origin, which gives what an address was signed for, until that runs out. */
export interface Storage {
  sign(repository: string, digest: string): string
  answer(record: RecordedRequest): Answer
}

const FAULT = (code: string, message: string) =>
  `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`

export function createStorage(
  host: () => string,
  options: {
    readonly ways: BlobWays
    readonly ttlMs: number
    readonly now: () => number
    readonly blob: (repository: string, digest: string) => Buffer | undefined
  },
): Storage {
  const { ways, ttlMs, now } = options
  const refused = (status: number, code: string, message: string): Answer => ({
    status,
    headers: { 'content-type': 'application/xml' },
    body: FAULT(code, message),
  })
  return {
    sign(repository, digest) {
      const until = now() + ttlMs
      const signed = createHash('sha256').update(`${repository} ${digest} ${until}`).digest('hex')
      return `http://${host()}/bucket/${encodeURIComponent(repository)}/${digest}?expires=${until}&signature=${signed}`
    },
    answer({ path, query, headers }) {
      // As S3 does where two ways to log in are shown at once.
      if (headers.authorization !== undefined) return refused(400, 'InvalidArgument', 'Only one auth mechanism allowed')
      const [, , repository = '', digest = ''] = path.split('/')
      const bytes = options.blob(decodeURIComponent(repository), decodeURIComponent(digest))
      if (Number(query.get('expires')) <= now()) return refused(403, 'AccessDenied', 'Request has expired')
      if (!bytes) return refused(404, 'NoSuchKey', 'The specified key does not exist.')
      return bytesAnswer(bytes, headers.range, ways, {
        'content-type': ways.contentType,
        ...ways.storageHeaders,
      })
    },
  }
}
