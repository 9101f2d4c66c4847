import type { Writable } from 'node:stream'

/** What a command sees of its surroundings; main.ts gives the real one. */
export interface Terminal {
  readonly stdout: Writable & { isTTY?: boolean; columns?: number }
  readonly stderr: Writable & { isTTY?: boolean; columns?: number; rows?: number }
  readonly stdin: AsyncIterable<Buffer | string>
  readonly cwd: string
  readonly env: {
    readonly url: string
    readonly token: string | undefined
    /** Lines in place of bars, whatever the screen: TERM=dumb, CI. */
    readonly plain?: boolean
  }
  /** Calls back at each Ctrl-C; call the result to stop. */
  onInterrupt(listener: () => void): () => void
}

/** 0 success, 1 failure, 2 wrong use, 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 130

/** The width of a stream where it is a screen: what a person reads there is folded between words. */
export function screenColumns({ isTTY, columns }: { isTTY?: boolean; columns?: number }): number | undefined {
  return isTTY === true ? columns || 80 : undefined
}

/** Whether standard error shows what is drawn over itself. */
export function showsBars({ stderr, env }: Pick<Terminal, 'stderr' | 'env'>): boolean {
  return stderr.isTTY === true && env.plain !== true
}
