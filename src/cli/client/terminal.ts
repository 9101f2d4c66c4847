import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { visible } from '../../lib/text.ts'

/** Takes text that people read, or programs. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

/** What a command sees of its surroundings. */
export interface Terminal extends Omit<Surroundings, 'stdout' | 'stderr'> {
  readonly stdout: Output
  readonly stderr: Output
  /** Standard output as it is, for bytes that a program or a file takes; resolves when more may come. */
  pipe(bytes: Buffer): Promise<void>
  /** Standard error as it is, for bars that are drawn over each other: what they say has to be `visible` already. */
  readonly canvas: Surroundings['stderr']
}

/** main.ts gives the real ones. */
export interface Surroundings {
  readonly stdout: Writable & Output
  readonly stderr: Writable & Output
  readonly stdin: AsyncIterable<Buffer | string> & { readonly isTTY?: boolean }
  readonly cwd: string
  readonly env: {
    readonly url: string
    readonly token: string | undefined
    /** Lines in place of bars, whatever the screen: TERM=dumb, CI. */
    readonly plain?: boolean
    /** The screen shows ASCII alone, by its locale. */
    readonly ascii?: boolean
  }
  /** Calls back at each Ctrl-C; call the result to stop. */
  onInterrupt(listener: () => void): () => void
}

/** All that a command writes goes through here: what came from a package or a registry is shown, not obeyed by the terminal. */
export function terminalOf(surroundings: Surroundings): Terminal {
  const { stdout, stderr } = surroundings
  const pipe = async (bytes: Buffer) => {
    if (!stdout.write(bytes)) await once(stdout, 'drain')
  }
  return { ...surroundings, stdout: shown(stdout), stderr: shown(stderr), pipe, canvas: stderr }
}

/** Its size is asked for each time: a window may change it. */
function shown(stream: Writable & Output): Output {
  const size = (name: 'isTTY' | 'columns' | 'rows') => ({ enumerable: true, get: () => stream[name] })
  const write = (text: string) => stream.write(visible(text, '\n\t'))
  return Object.defineProperties({ write }, { isTTY: size('isTTY'), columns: size('columns'), rows: size('rows') })
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
