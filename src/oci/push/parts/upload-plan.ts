import type { LearnedUploads } from '../../facts/learned-facts.ts'
import type { RegistryProfile } from '../../facts/registry-profile.ts'

const MIB = 1024 * 1024

/** Up to here a blob goes as one PUT: a third request gains nothing. */
const WHOLE_MAX_BYTES = 8 * MIB
/** The parts of a blob to a registry that has not taken any yet, or of which no speed is known. */
const FIRST_PART_BYTES = 8 * MIB
/** As long as it has not taken any, they are no more of a large blob than this: one may be sent for nothing. */
const FIRST_PART_SHARE = 1 / 256
/** What a part takes: long enough for its round trip not to count, short enough to be lost. */
const PART_MS = 10_000
const SHORTEST_PART_MS = 1000
/** Parts of one session: ECR takes 4,200, storage like S3 10,000. */
const MOST_PARTS = 4000

/**
 * The parts of one session: all of one size, but for the last. Some registries hand each on to storage that takes no
 * others (R2), and none minds. Source: oci-client.md U4.
 */
export interface PartGrid {
  /** Where the first one begins. */
  readonly from: number
  readonly bytes: number
}

/** The next request of an upload. */
export type UploadStep =
  /** PUT with all of it, which commits. */
  | { readonly send: 'whole' }
  /** PATCH with all of it, of unknown length: what docker sends. */
  | { readonly send: 'stream' }
  /**
   * PATCH with the bytes up to `end`, by their range; as the PUT that commits, where the last ones have to go with it.
   * Without a grid: as many as one body may have.
   */
  | { readonly send: 'part'; readonly end: number; readonly commits: boolean; readonly grid: PartGrid | undefined }

export interface UploadAt {
  readonly size: number
  /** What the registry has. */
  readonly offset: number
  /** Where the session goes in parts already. */
  readonly grid?: PartGrid | undefined
}

/**
 * Chooses the next request: docker's own dialect until there is a reason for parts, which is that a cut costs all that
 * was sent, that requests are cut at an age which this one would reach, or that its body is too large. A registry that
 * keeps the bytes of a cut request gets long ones.
 */
export function nextStep(at: UploadAt, profile: RegistryProfile, learned: LearnedUploads): UploadStep {
  const { size, offset } = at
  const grid = at.grid ?? newGrid(at, profile, learned)
  if (offset === 0 && (!grid || grid.bytes >= size)) {
    const { maxBodyBytes = Infinity, maxPartBytes = Infinity } = learned
    const small = learned.whole === undefined && size <= Math.min(WHOLE_MAX_BYTES, maxBodyBytes, maxPartBytes)
    const whole = profile.first === 'put' || small
    return { send: whole ? 'whole' : 'stream' }
  }
  const end = Math.min(
    size,
    grid ? partEnd(grid, offset, leastPart(profile, learned)) : offset + largestBody(profile, learned),
  )
  return { send: 'part', end, commits: end === size && (profile.lastInPut || learned.lastInPut === true), grid }
}

/**
 * Whether a session's parts have to become smaller: they are more than one body may have, or broke off `cuts` times with
 * no whole one in between. One cut says little.
 */
export function mustShrink(
  at: UploadAt & { cuts: number },
  profile: RegistryProfile,
  learned: LearnedUploads,
): boolean {
  const { grid, size, offset, cuts } = at
  if (!grid) return false
  if (grid.bytes > largestBody(profile, learned)) return true
  if (cuts === 0 || partBytes(size - offset, profile, learned) >= grid.bytes) return false
  return cuts > 1 || outlives(grid.bytes, profile, learned)
}

function newGrid({ size, offset }: UploadAt, profile: RegistryProfile, learned: LearnedUploads): PartGrid | undefined {
  const rest = size - offset
  if (!profile.parts || learned.parts === 'refused' || !wantsParts(rest, profile, learned)) return undefined
  return { from: offset, bytes: partBytes(rest, profile, learned) }
}

/** What a cut left of a part goes by itself, so that the next one begins where it would have. */
function partEnd({ from, bytes }: PartGrid, offset: number, least: number): number {
  const line = from + (Math.floor((offset - from) / bytes) + 1) * bytes
  return line - offset < least ? offset + bytes : line
}

function wantsParts(rest: number, profile: RegistryProfile, learned: LearnedUploads): boolean {
  const { maxBodyBytes = Infinity, maxPartBytes = Infinity } = learned
  if (Math.min(maxBodyBytes, maxPartBytes, profile.streamMaxBytes ?? Infinity) < rest) return true
  if (learned.cutKeeps === 'nothing' || learned.cutKeeps === 'parts') return true
  return outlives(rest, profile, learned)
}

/** Whether so many bytes take longer than a request may. */
function outlives(bytes: number, profile: RegistryProfile, learned: LearnedUploads): boolean {
  const { bytesPerSecond } = learned
  return bytesPerSecond !== undefined && (bytes / bytesPerSecond) * 1000 > 0.8 * deadline(profile, learned)
}

/** About ten seconds of what the link was seen to carry. */
function partBytes(rest: number, profile: RegistryProfile, learned: LearnedUploads): number {
  const { bytesPerSecond } = learned
  const timed = bytesPerSecond === undefined ? FIRST_PART_BYTES : (bytesPerSecond * partMs(profile, learned)) / 1000
  const first = Math.max(FIRST_PART_BYTES, rest * FIRST_PART_SHARE)
  const wanted = learned.parts === undefined ? Math.min(timed, first) : timed
  const rounded = Math.max(MIB, Math.floor(wanted / MIB) * MIB, Math.ceil(rest / MOST_PARTS / MIB) * MIB)
  return Math.min(Math.max(rounded, leastPart(profile, learned)), largestBody(profile, learned))
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

function leastPart(profile: RegistryProfile, learned: LearnedUploads): number {
  return Math.max(profile.parts?.minBytes ?? 0, learned.minPartBytes ?? 0)
}

/** What the registry says itself goes before what is told of it. */
function largestBody(profile: RegistryProfile, learned: LearnedUploads): number {
  const { minPartBytes = 0, maxPartBytes = Infinity, maxBodyBytes = Infinity } = learned
  return Math.min(Math.max(profile.parts?.maxBytes ?? Infinity, minPartBytes), maxPartBytes, maxBodyBytes)
}
