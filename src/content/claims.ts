import type { UploadKey } from './checkpoint.ts'

/**
 * Which of several runs that need the same blob in the same repository moves it. A claim is no lock that correctness
 * hangs on: the digest is checked at the far end whoever sends. It saves sending twice.
 */
export interface TransferClaims {
  /** Takes the claim if nobody alive holds it. `again`: also where a finished transfer has left its mark. */
  take(key: UploadKey, options: { signal: AbortSignal; again: boolean }): Promise<TransferClaim | HeldClaim>
  /** Where it stands, without taking it. Its owner is told that somebody waits. */
  look(key: UploadKey, options: { signal: AbortSignal }): Promise<{ state: 'free' } | HeldClaim>
}

export type HeldClaim =
  /** Another run moves the blob and has handed over `offset` bytes. */
  | { state: 'held'; offset: number }
  /** Another run has finished it a short while ago. */
  | { state: 'done' }

export interface TransferClaim {
  state: 'taken'
  /** Aborts when another run has the claim: this one has to stop sending. */
  readonly lost: AbortSignal
  /** Whether somebody waits, as of a second ago. */
  readonly watched: boolean
  /** Tells those who wait how far it is. Never waits. */
  moved(offset: number): void
  /** Lets go. `done`: the blob is there in full. */
  release(outcome: { done: boolean }): Promise<void>
}
