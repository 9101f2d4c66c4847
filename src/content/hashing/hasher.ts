import { createHash, type Hash } from 'node:crypto'
import { type Digest, digestAlgorithm } from '../digest.ts'

/** A running hash of the digest's own algorithm. */
export function hasherFor(digest: Digest): Hash {
  return createHash(digestAlgorithm(digest))
}
