import type { Writable } from 'node:stream'

/** What a command sees of its surroundings; main.ts gives the real one. */
export interface Terminal {
  readonly stdout: Writable & { isTTY?: boolean }
  readonly stderr: Writable & { isTTY?: boolean; columns?: number; rows?: number }
  readonly stdin: AsyncIterable<Buffer | string>
  readonly cwd: string
  readonly env: { readonly url: string; readonly token: string | undefined }
  /** Calls back at each Ctrl-C; call the result to stop. */
  onInterrupt(listener: () => void): () => void
}

/** 0 success, 1 failure, 2 wrong use, 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 130
