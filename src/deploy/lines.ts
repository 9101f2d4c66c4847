import { StringDecoder } from 'node:string_decoder'
import type { Mask } from './mask.ts'

/** Characters of a line that are kept; the rest of a longer one is left out. */
export const LINE_CHARACTERS = 16_384

/** Cuts what a program writes into lines, without the secrets in them. Holds one line, and of that no more than is kept. */
export interface Lines {
  push(chunk: Buffer): void
  /** What stands behind the last line end. */
  end(): void
}

export function createLines(mask: Mask, onLine: (line: string) => void): Lines {
  const decoder = new StringDecoder('utf8')
  const most = LINE_CHARACTERS + mask.reach
  let line = ''
  let dropped = 0
  const take = (text: string): void => {
    const room = Math.max(0, most - line.length)
    line += text.slice(0, room)
    dropped += Math.max(0, text.length - room)
  }
  const finish = (): void => {
    const masked = mask(line.endsWith('\r') ? line.slice(0, -1) : line)
    // A secret that was cut stands at the end, and is found by nobody.
    const whole = dropped > 0 ? masked.slice(0, Math.max(0, masked.length - mask.reach)) : masked
    const isCut = dropped > 0 || whole.length > LINE_CHARACTERS
    if (masked !== '') onLine(isCut ? `${whole.slice(0, LINE_CHARACTERS)}…` : whole)
    line = ''
    dropped = 0
  }
  const push = (text: string): void => {
    const [first = '', ...others] = text.split('\n')
    take(first)
    for (const other of others) {
      finish()
      take(other)
    }
  }
  return {
    push: (chunk) => push(decoder.write(chunk)),
    end() {
      push(decoder.end())
      finish()
    },
  }
}
