import type { LearnedUploads } from '../../facts/learned-facts.ts'
import type { RegistryProfile } from '../../facts/registry-profile.ts'

const MIB = 1024 * 1024

/** Up to here a blob goes as one PUT: a third request gains nothing. */
const WHOLE_MAX_BYTES = 8 * MIB
/** The first part to a registry that has not taken one yet, or of which no speed is known. */
const FIRST_PART_BYTES = 8 * MIB
/** What a part takes: long enough for its round trip not to count, short enough to be lost. */
const PART_MS = 10_000
const SHORTEST_PART_MS = 1000

/** The next request of an upload. */
export type UploadStep =
  /** PUT with all of it, which commits. */
  | { readonly send: 'whole' }
  /** PATCH with all of it, of unknown length: what docker sends. */
  | { readonly send: 'stream' }
  /** PATCH with the bytes up to `end`, by their range; as the PUT that commits, where the last ones have to go with it. */
  | { readonly send: 'part'; readonly end: number; readonly commits: boolean }

export interface UploadAt {
  readonly size: number
  /** What the registry has. */
  readonly offset: number
}

/**
 * Chooses the next request: docker's own dialect until there is a reason for parts, which is that a cut costs all that
 * was sent, that requests are cut at an age which this one would reach, or that its body is too large. A registry that
 * keeps the bytes of a cut request gets long ones.
 */
export function nextStep(at: UploadAt, profile: RegistryProfile, learned: LearnedUploads): UploadStep {
  const { size, offset } = at
  const rest = size - offset
  const inParts = profile.parts !== undefined && learned.parts !== 'refused' && wantsParts(rest, profile, learned)
  if (offset === 0 && (!inParts || partBytes(profile, learned) >= size)) {
    const { maxBodyBytes = Infinity } = learned
    const whole = profile.first === 'put' || size <= Math.min(WHOLE_MAX_BYTES, maxBodyBytes)
    return { send: whole ? 'whole' : 'stream' }
  }
  const most = inParts ? partBytes(profile, learned) : largestBody(profile, learned)
  const end = offset + Math.min(rest, most)
  return { send: 'part', end, commits: profile.lastInPut && end === size }
}

function wantsParts(rest: number, profile: RegistryProfile, learned: LearnedUploads): boolean {
  if (learned.maxBodyBytes !== undefined && learned.maxBodyBytes < rest) return true
  if (learned.cutKeeps === 'nothing' || learned.cutKeeps === 'parts') return true
  const { bytesPerSecond } = learned
  const deadlineMs = deadline(profile, learned)
  return bytesPerSecond !== undefined && (rest / bytesPerSecond) * 1000 > 0.8 * deadlineMs
}

/** About ten seconds of what the link was seen to carry. */
function partBytes(profile: RegistryProfile, learned: LearnedUploads): number {
  const { minBytes = 0 } = profile.parts ?? {}
  const { bytesPerSecond, minPartBytes = 0 } = learned
  const timed = bytesPerSecond === undefined ? FIRST_PART_BYTES : (bytesPerSecond * partMs(profile, learned)) / 1000
  const wanted = learned.parts === undefined ? Math.min(timed, FIRST_PART_BYTES) : timed
  const rounded = Math.max(MIB, Math.floor(wanted / MIB) * MIB)
  return Math.min(Math.max(rounded, minBytes, minPartBytes), largestBody(profile, learned))
}

/** Where requests break off sooner than that, a third of what they live. */
function partMs(profile: RegistryProfile, learned: LearnedUploads): number {
  const { cutAfterMs = Infinity } = learned
  const lives = Math.min(deadline(profile, learned), cutAfterMs)
  return Math.min(PART_MS, Math.max(SHORTEST_PART_MS, lives / 3))
}

function deadline(profile: RegistryProfile, learned: LearnedUploads): number {
  return Math.min(profile.deadlineMs ?? Infinity, learned.deadlineMs ?? Infinity)
}

function largestBody(profile: RegistryProfile, learned: LearnedUploads): number {
  return Math.min(profile.parts?.maxBytes ?? Infinity, learned.maxBodyBytes ?? Infinity)
}
