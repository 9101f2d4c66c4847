/** What a registry was seen to do, shared by all its repositories and callers. */
export interface LearnedFacts {
  /** Whether POST ?digest= takes the blob along. 'asking' while the first such request is under way. */
  singlePost: boolean | 'asking' | undefined
  /** False once it refused a mount that names no repository as something it does not know. */
  anonymousMount: boolean | undefined
  /**
   * Whether it answers a mount of a blob from the repository itself with a yes where the blob is there, so that its no
   * means that it is not (self-mount.ts). 'asking' while that is tried.
   */
  selfMount: boolean | 'asking' | undefined
  /** False once it gave something else than a range with an end, or refused those of several blobs in a row. */
  severalRanges: boolean | undefined
  /** False once it refused an artifact manifest and then took the image manifest of the same package (oci-client.md G6). */
  artifactManifests: boolean | undefined
  /** Blobs in a row of which it refused such a range. */
  rangeRefusals: number
  readonly uploads: LearnedUploads
  readonly shown: ShownKind
}

/** What its answers show of its kind. Anybody can write that into an answer, so that what it does goes before it. */
export interface ShownKind {
  /** By the surest sign so far. */
  profile?: string
  version?: string
  /** What that profile, or the one of its name, would do was refused: it is not gone by any more. */
  refuted?: true
}

/** What uploads have shown; all of it undefined until it was seen, and each newer sight wins. */
export interface LearnedUploads {
  /** Of one request with a body, smoothed. */
  bytesPerSecond?: number
  /**
   * What is left of a request that breaks off: its bytes, nothing of it but what came before (parts), or not even the
   * session (nothing).
   */
  cutKeeps?: 'bytes' | 'parts' | 'nothing'
  /** How long the last request lived that broke off, ms. */
  cutAfterMs?: number
  /** Requests break off at this age, ms. */
  deadlineMs?: number
  /** Whether a session takes several PATCHes; equal: of one size alone, but for the last. */
  parts?: 'taken' | 'equal' | 'refused'
  /** It takes no PUT that brings the blob along (Artifactory 6). */
  whole?: 'refused'
  /** A body with more was refused for its size. */
  maxBodyBytes?: number
  /** The least a part may have, as the registry says (OCI-Chunk-Min-Length). */
  minPartBytes?: number
  /** The most a body may have, as the registry says (OCI-Chunk-Max-Length). */
  maxPartBytes?: number
  /** How much too high the bytes are that its Range tells. */
  rangeBias?: 0 | 1
  /** It refused an empty PUT after parts: the last one goes with the PUT. */
  lastInPut?: true
}

export function createLearnedFacts(): LearnedFacts {
  return {
    singlePost: undefined,
    anonymousMount: undefined,
    selfMount: undefined,
    severalRanges: undefined,
    artifactManifests: undefined,
    rangeRefusals: 0,
    uploads: {},
    shown: {},
  }
}

const MIB = 1024 * 1024
/** Less says more about round trips and buffers than about the link or the registry, unless it took long. */
const TELLING_BYTES = 8 * MIB
/** Cuts before are mere resets. */
export const SHORTEST_DEADLINE_MS = 5000
const SPEED_WEIGHT = 0.5
const TELLING_REFUSALS = 3

/** What a range with an end was answered with: its bytes, others, or an error. */
export type RangeAnswer = 'given' | 'ignored' | 'refused'

/** A single refusal may have other reasons: a token that ran out, a busy minute. True: this is news. */
export function learnRange(learned: LearnedFacts, answer: RangeAnswer): boolean {
  learned.rangeRefusals = answer === 'refused' ? learned.rangeRefusals + 1 : 0
  if (answer === 'given' || (answer === 'refused' && learned.rangeRefusals < TELLING_REFUSALS)) return false
  learned.severalRanges = false
  return true
}

/** A request with `bytes` was answered after `ms`. */
export function learnRequest(learned: LearnedUploads, { bytes, ms }: { bytes: number; ms: number }): void {
  if (learned.deadlineMs !== undefined && ms > 1.5 * learned.deadlineMs) delete learned.deadlineMs
  if (learned.cutAfterMs !== undefined && ms > learned.cutAfterMs) delete learned.cutAfterMs
  if (bytes < MIB) return
  const seen = (bytes * 1000) / Math.max(ms, 1)
  const { bytesPerSecond = seen } = learned
  learned.bytesPerSecond = bytesPerSecond + SPEED_WEIGHT * (seen - bytesPerSecond)
}

/** A request broke off after `ms` and about `bytes`. Twice at about the same age: the registry, or a proxy, cuts there. */
export function learnCut(learned: LearnedUploads, { bytes, ms }: { bytes: number; ms: number }): void {
  const before = learned.cutAfterMs ?? 0
  if (Math.min(ms, before) >= SHORTEST_DEADLINE_MS && Math.abs(ms - before) <= 0.2 * before) {
    learned.deadlineMs = Math.min(ms, before)
  }
  learned.cutAfterMs = ms
  if (bytes < TELLING_BYTES && ms < SHORTEST_DEADLINE_MS) return
  const { bytesPerSecond = Infinity } = learned
  // No more than that got through, however fast the link was before: with parts sized by that, each would be cut.
  learned.bytesPerSecond = Math.min(bytesPerSecond, (bytes * 1000) / Math.max(ms, 1))
}

/** After a cut: `sent` bytes had gone out since the last acknowledged one, and `kept` of them are there. */
export function learnKept(learned: LearnedUploads, sent: number, kept: number | 'no session'): void {
  if (sent < TELLING_BYTES && (learned.cutAfterMs ?? 0) < SHORTEST_DEADLINE_MS) return
  if (kept === 'no session') learned.cutKeeps = 'nothing'
  // What is on its way in sockets is lost everywhere, so only much of it is a sign.
  else learned.cutKeeps = kept > 0 ? 'bytes' : 'parts'
}

/** Less is no bound that an upload would come to an end with. */
const LEAST_BOUND_BYTES = 64 * 1024

/**
 * What a registry says of its parts as it opens a session. Source: OCI distribution-spec v1.1.1 "Pushing a blob in chunks"
 * (OCI-Chunk-Min-Length); its counterpart is Cloudflare's.
 */
export function learnBounds(learned: LearnedUploads, told: Record<'least' | 'most', string | undefined>): void {
  const [least, most] = [told.least, told.most].map((text) => (/^\d{1,15}$/.test(text ?? '') ? Number(text) : 0))
  if (least) learned.minPartBytes = least
  if (most && most >= LEAST_BOUND_BYTES) learned.maxPartBytes = most
}

/** A body of so many bytes was refused for its size. False when there is no smaller one left to try. */
export function learnTooLarge(learned: LearnedUploads, bytes: number): boolean {
  if (bytes <= MIB) return false
  learned.maxBodyBytes = Math.max(MIB, Math.floor(bytes / 2 / MIB) * MIB)
  return true
}
