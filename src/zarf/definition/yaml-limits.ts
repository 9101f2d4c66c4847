import { type Event, EVENT_ID } from 'js-yaml'
import { AppError } from '../../lib/errors.ts'
import { ZARF_YAML, type YamlFile } from './yaml-file.ts'

/**
 * What a zarf.yaml of at most 4 MiB (metadata-files.ts) may cost before anybody looks at its content. The largest real ones have under 1 MiB, 40,000 lines,
 * ten levels and, since zarf writes them, no anchor at all.
 */
const MAX_DOCUMENTS = 16
const MAX_ANCHORS = 1000
const MAX_ALIASES = 10_000
const MAX_DEPTH = 100
const MAX_UNFOLDED_MIB = 16
/** Each becomes at most three events of the parser, about 160 bytes each. */
const MAX_MARKS = 500_000
export const MAX_MERGED_KEYS = 10_000
/** The parser's own, so that it stops: what it lets through is measured here, aliases unfolded. */
export const MAX_PARSER_DEPTH = 2 * MAX_DEPTH

/** Few milliseconds, also where it is the first. Most packages' are smaller. */
const INLINE_BYTES = 16 * 1024
/** What may begin an anchor: with aliases to it a small text stands for a large one. */
const ANCHOR = /(?:^|[\s,:[\]{}])&[^\s&]/

/** Whether it is read faster than it is handed to a thread. */
export function isQuick(bytes: Buffer): boolean {
  return bytes.length <= INLINE_BYTES && !ANCHOR.test(bytes.toString('latin1'))
}

/** What a value costs beyond its text: an entry in a list or a map, a header of its own. */
const VALUE_BYTES = 16

/**
 * Before the text is parsed: an upper bound of what the parser makes of it, by one look at each character. Counted are
 * lines and the characters that can begin a value. Throws PACKAGE_TOO_LARGE.
 */
export function checkText(text: string, file: YamlFile = ZARF_YAML): void {
  let marks = 0
  let documents = 1
  for (let at = 0; at < text.length; at++) {
    const kind = KINDS[text.charCodeAt(at)] ?? 0
    if (kind === 0) continue
    if (kind === BEFORE_BLANK && !isBlank(text.charCodeAt(at + 1))) continue
    marks += 1
    if (kind === LINE_END && endsDocument(text, at + 1)) documents += 1
    if (documents > MAX_DOCUMENTS) throw tooLarge(file, `holds more than ${MAX_DOCUMENTS} documents`, MAX_DOCUMENTS)
    if (marks > MAX_MARKS) throw tooLarge(file, `holds more than ${MAX_MARKS} values and lines`, MAX_MARKS)
  }
}

const LINE_END = 1
const ALWAYS = 2
const BEFORE_BLANK = 3
const KINDS = new Uint8Array(128)
for (const character of '\n\r') KINDS[character.charCodeAt(0)] = LINE_END
for (const character of ',[]{}') KINDS[character.charCodeAt(0)] = ALWAYS
for (const character of '-?:') KINDS[character.charCodeAt(0)] = BEFORE_BLANK

function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13) || Number.isNaN(code)
}

function endsDocument(text: string, at: number): boolean {
  return text.startsWith('---', at) || text.startsWith('...', at) || text.startsWith('%', at)
}

interface Unfolded {
  /** Of all that stands below, aliases replaced by what they stand for. */
  bytes: number
  depth: number
  /** Whether what it holds is still being read: an alias to it from there would make it hold itself. */
  open: boolean
}

/**
 * Before values are made of the parser's events: what they stand for once each alias is what it names, in one pass.
 * Throws PACKAGE_TOO_LARGE naming the limit, PACKAGE_INVALID for an alias to what it stands in.
 */
export function checkEvents(events: readonly Event[], text: string, file: YamlFile = ZARF_YAML): void {
  const walk = new Walk(text, file)
  for (const event of events) walk.take(event)
}

class Walk {
  readonly #text: string
  readonly #file: YamlFile
  readonly #open: Unfolded[] = [{ bytes: 0, depth: 0, open: true }]
  #named = new Map<string, Unfolded>()
  #anchors = 0
  #aliases = 0

  constructor(text: string, file: YamlFile) {
    this.#text = text
    this.#file = file
  }

  take(event: Event): void {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        this.#named = new Map()
        this.#open.push({ bytes: 0, depth: 0, open: true })
        return
      case EVENT_ID.SEQUENCE:
      case EVENT_ID.MAPPING:
        this.#open.push(this.#name(event, { bytes: VALUE_BYTES, depth: 1, open: true }))
        return
      case EVENT_ID.SCALAR:
        this.#add(this.#name(event, scalar(event.valueEnd - event.valueStart)))
        return
      case EVENT_ID.ALIAS:
        this.#add(this.#aliased(event))
        return
      case EVENT_ID.POP:
        this.#close()
        return
      default:
        event satisfies never
    }
  }

  #add(found: Unfolded): void {
    const holder = this.#open.at(-1)
    if (!holder) return
    holder.bytes += found.bytes
    holder.depth = Math.max(holder.depth, found.depth + 1)
    if (holder.bytes > MAX_UNFOLDED_MIB * 2 ** 20)
      throw tooLarge(this.#file, `unfolds to more than ${MAX_UNFOLDED_MIB} MiB`, MAX_UNFOLDED_MIB * 2 ** 20)
    if (holder.depth > MAX_DEPTH) throw tooDeep(this.#file)
  }

  #close(): void {
    const done = this.#open.pop()
    if (!done) return
    done.open = false
    this.#add(done)
  }

  #name(event: { anchorStart: number; anchorEnd: number }, found: Unfolded): Unfolded {
    if (event.anchorStart < 0) return found
    this.#anchors += 1
    if (this.#anchors > MAX_ANCHORS) throw tooLarge(this.#file, `holds more than ${MAX_ANCHORS} anchors`, MAX_ANCHORS)
    this.#named.set(this.#text.slice(event.anchorStart, event.anchorEnd), found)
    return found
  }

  #aliased({ anchorStart, anchorEnd }: { anchorStart: number; anchorEnd: number }): Unfolded {
    this.#aliases += 1
    if (this.#aliases > MAX_ALIASES) throw tooLarge(this.#file, `holds more than ${MAX_ALIASES} aliases`, MAX_ALIASES)
    const name = this.#text.slice(anchorStart, anchorEnd)
    // One that names nothing is refused when values are made.
    const found = this.#named.get(name) ?? scalar(0)
    if (!found.open) return found
    const { path, maker } = this.#file
    throw new AppError('PACKAGE_INVALID', `${path} has an alias, *${name.slice(0, 100)}, that refers to itself`, {
      hint: `${maker} writes no aliases: make it again with ${maker}.`,
      details: { path },
    })
  }
}

function scalar(length: number): Unfolded {
  return { bytes: VALUE_BYTES + length, depth: 0, open: false }
}

export function tooDeep(file: YamlFile): AppError {
  return tooLarge(file, `nests more than ${MAX_DEPTH} deep`, MAX_DEPTH)
}

export function tooManyMerges(file: YamlFile): AppError {
  return tooLarge(file, `merges more than ${MAX_MERGED_KEYS} keys`, MAX_MERGED_KEYS)
}

function tooLarge({ path, maker }: YamlFile, why: string, limit: number): AppError {
  return new AppError('PACKAGE_TOO_LARGE', `${path} ${why}`, {
    hint: `Nothing that ${maker} made comes near this limit (docs/security.md): make it again with ${maker}.`,
    details: { path, limit },
  })
}
