import { createHash } from 'node:crypto'
import type { Answer } from './exchange.ts'
import type { BlobWays } from './ways.ts'

export interface BlobStore {
  blob(repository: string, digest: string): Buffer | undefined
  put(repository: string, bytes: Buffer, digest?: string): string
  delete(repository: string, digest: string): void
  /** Of whichever repository has it. */
  anywhere(digest: string): Buffer | undefined
}

export function createBlobStore(): BlobStore {
  const blobs = new Map<string, Buffer>()
  const key = (repository: string, digest: string) => `${repository}@${digest}`
  return {
    blob: (repository, digest) => blobs.get(key(repository, digest)),
    put(repository, bytes, digest = digestOf(bytes)) {
      blobs.set(key(repository, digest), bytes)
      return digest
    },
    delete: (repository, digest) => void blobs.delete(key(repository, digest)),
    anywhere: (digest) => [...blobs].find(([name]) => name.endsWith(`@${digest}`))?.[1],
  }
}

/** The bytes as they are asked for; `headers` beside those of a range. */
export function bytesAnswer(
  bytes: Buffer,
  range: string | undefined,
  ways: Pick<BlobWays, 'rangeAtEnd' | 'ranges'>,
  headers: Record<string, string>,
): Answer {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec((ways.ranges ? range : undefined) ?? '') ?? []
  const all = { ...headers, ...(ways.ranges ? { 'accept-ranges': 'bytes' } : {}) }
  if (first === undefined) return { status: 200, headers: all, body: bytes }
  const start = Number(first)
  const end = last ? Math.min(Number(last), bytes.length - 1) : bytes.length - 1
  if (start >= bytes.length) {
    const announced = ways.rangeAtEnd === 'full length' ? { 'content-length': String(bytes.length) } : {}
    return { status: 416, headers: { 'content-range': `bytes */${bytes.length}`, ...announced } }
  }
  return {
    status: 206,
    headers: { ...all, 'content-range': `bytes ${start}-${end}/${bytes.length}` },
    body: bytes.subarray(start, end + 1),
  }
}

export function etagOf(kind: BlobWays['etag'], digest: string): Record<string, string> {
  if (kind === 'none') return {}
  return { etag: kind === 'quoted' ? `"${digest}"` : createHash('sha1').update(digest).digest('hex') }
}

export function digestOf(bytes: Buffer, like = 'sha256:'): string {
  const algorithm = like.startsWith('sha512:') ? 'sha512' : 'sha256'
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}
