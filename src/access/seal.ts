/** Keeps what a browser is to bring back from being read or changed there. */
export interface Seal {
  /** As base64url. */
  seal(value: unknown): string
  /** Undefined: it is none of ours. */
  open(text: string): unknown
}
