import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../../lib/errors.ts'
import { SIGSTORE_BUNDLE, checkMetadataSize, DEFINITION } from '../layout/metadata-files.ts'
import { loadDocuments } from './definition.ts'

/** Source: zarf v0.84 layout/package.go SignPackage. */
const REQUIREMENT = {
  version: 'v0.71.0',
  reason: 'This package contains a bundle format signature which requires Zarf v0.71.0 or later',
}

/** Of zarf's struct, what comes after what is written here: a field that is not there yet goes in front of these. */
const ORDER = ['signed', 'versionRequirements', 'provenanceFiles', 'aggregateChecksum']

/**
 * zarf.yaml as signing writes it, edited as text: no byte of it is another but for `build.signed`, the version requirement
 * and the signature's name in `build.provenanceFiles`, which go in where zarf's own writer has them. What came of it is read
 * again and compared. Throws PACKAGE_NOT_SIGNABLE for a text that cannot be edited so, PACKAGE_INVALID, PACKAGE_TOO_LARGE.
 */
export function markSigned(bytes: Buffer): Buffer {
  const before = loadDocuments(bytes)
  // One character a byte, so that what is not touched comes out as it went in.
  const text = bytes.toString('latin1')
  if (text.includes('\r')) throw notEditable('has line ends with carriage returns')
  const parts = documentsOf(text)
  const builds = before.map(buildOf).filter((build) => build !== undefined)
  const places = parts.flatMap((lines, at) => (lines.some(isBuild) ? [at] : []))
  if (builds.length === 0) throw notEditable('has no "build"')
  if (places.length !== builds.length) throw notEditable('has a "build" that does not stand on a line of its own')
  for (const [nth, place] of places.entries()) {
    parts[place] = edited(parts[place] ?? [], builds[nth] ?? new Map())
  }
  const after = Buffer.from(parts.flat().join(''), 'latin1')
  checkMetadataSize({ path: DEFINITION, size: after.length })
  if (isDeepStrictEqual(readAgain(after), before.map(signed))) return after
  throw notEditable('does not come out as it should once it is edited in place')
}

function readAgain(after: Buffer): unknown[] | undefined {
  try {
    return loadDocuments(after)
  } catch {
    return undefined
  }
}

type Build = ReadonlyMap<string, unknown>

function buildOf(document: unknown): Build | undefined {
  const build: unknown = document instanceof Map ? document.get('build') : undefined
  return build instanceof Map ? build : undefined
}

/** What the document has to say afterwards. */
function signed(document: unknown): unknown {
  const build = buildOf(document)
  if (!build) return document
  return new Map(document as Map<string, unknown>).set(
    'build',
    new Map(build)
      .set('signed', true)
      .set('provenanceFiles', withItem(listIn(build, 'provenanceFiles'), namesSignature, SIGSTORE_BUNDLE))
      .set(
        'versionRequirements',
        withItem(listIn(build, 'versionRequirements'), isRequirement, new Map(Object.entries(REQUIREMENT))),
      ),
  )
}

function withItem(list: readonly unknown[], isThere: (item: unknown) => boolean, item: unknown): unknown[] {
  return list.some(isThere) ? [...list] : [...list, item]
}

function listIn(build: Build, name: string): readonly unknown[] {
  const found = build.get(name) ?? []
  if (Array.isArray(found)) return found
  throw notEditable(`has a build.${name} that is no list`)
}

function namesSignature(item: unknown): boolean {
  return item === SIGSTORE_BUNDLE
}

function isRequirement(item: unknown): boolean {
  if (!(item instanceof Map)) return false
  return item.get('version') === REQUIREMENT.version && item.get('reason') === REQUIREMENT.reason
}

/** The lines of each document, their ends included; the mark between two begins the second. */
function documentsOf(text: string): string[][] {
  const parts: string[][] = [[]]
  for (const line of linesOf(text)) {
    if (line.startsWith('---')) parts.push([])
    parts.at(-1)?.push(line)
  }
  return parts
}

function linesOf(text: string): string[] {
  const lines: string[] = []
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start)
    const next = end === -1 ? text.length : end + 1
    lines.push(text.slice(start, next))
    start = next
  }
  return lines
}

function isBuild(line: string): boolean {
  return line.startsWith('build:')
}

/** A key of `build` on its own line, with all the lines up to the next. */
interface Child {
  /** Undefined for what is no plain key. */
  readonly key: string | undefined
  readonly value: string
  readonly start: number
  /** After its last line that says anything. */
  end: number
}

/** Lines of one document, and the keys of its `build`. */
interface Block {
  readonly lines: readonly string[]
  readonly indent: number
  readonly children: readonly Child[]
  /** After its last line. */
  readonly end: number
}

/** New lines in front of line `at`; `instead`: in place of that one. */
interface Edit {
  readonly at: number
  readonly lines: readonly string[]
  readonly instead?: true
}

function edited(lines: string[], build: Build): string[] {
  const block = blockOf(lines)
  const pad = ' '.repeat(block.indent)
  const edits = [
    signedEdit(block, pad),
    ...listEdit(block, {
      name: 'versionRequirements',
      isThere: listIn(build, 'versionRequirements').some(isRequirement),
      item: (at) => [`${at}- version: ${REQUIREMENT.version}\n`, `${at}  reason: ${REQUIREMENT.reason}\n`],
    }),
    ...listEdit(block, {
      name: 'provenanceFiles',
      isThere: listIn(build, 'provenanceFiles').some(namesSignature),
      item: (at) => [`${at}- ${SIGSTORE_BUNDLE}\n`],
    }),
  ]
  // Backwards, so that lines keep their numbers; of those for one place the first comes first.
  return edits.toReversed().reduce(
    (all, edit) => all.toSpliced(edit.at, edit.instead ? 1 : 0, ...edit.lines),
    [
      ...lines.slice(0, -1),
      // The last line may have no end.
      ...lines.slice(-1).map((line) => (line.endsWith('\n') ? line : `${line}\n`)),
    ],
  )
}

function signedEdit(block: Block, pad: string): Edit {
  const child = block.children.find(({ key }) => key === 'signed')
  if (!child) return { at: placeFor(block, 'signed'), lines: [`${pad}signed: true\n`] }
  const line = block.lines[child.start] ?? ''
  if (!/^(?:true|false)$/.test(child.value)) throw notEditable('has a build.signed that is not plainly true or false')
  return { at: child.start, instead: true, lines: [line.replace('signed: false', 'signed: true')] }
}

function listEdit(
  block: Block,
  { name, isThere, item }: { name: string; isThere: boolean; item: (pad: string) => string[] },
): Edit[] {
  if (isThere) return []
  const child = block.children.find(({ key }) => key === name)
  const own = ' '.repeat(block.indent)
  if (!child) return [{ at: placeFor(block, name), lines: [`${own}${name}:\n`, ...item(own)] }]
  if (child.value !== '') throw notEditable(`has build.${name} in flow style`)
  const first = block.lines.slice(child.start + 1, child.end).find(says)
  return [{ at: child.end, lines: item(first === undefined ? own : first.slice(0, indentOf(first))) }]
}

function placeFor({ children, end }: Block, name: string): number {
  const later = ORDER.slice(ORDER.indexOf(name) + 1)
  return children.find(({ key }) => key !== undefined && later.includes(key))?.start ?? end
}

function blockOf(lines: readonly string[]): Block {
  const at = lines.findIndex(isBuild)
  if (lines.filter(isBuild).length > 1) throw notEditable('has "build" more than once')
  if (!/^build: *$/.test((lines[at] ?? '').trimEnd())) throw notEditable('has its "build" in flow style, or an alias')
  const next = lines.findIndex((line, index) => index > at && /^[^\s#]/.test(line))
  let end = next === -1 ? lines.length : next
  while (end > at + 1 && !says(lines[end - 1] ?? '')) end -= 1
  const indent = indentOf(lines.slice(at + 1, end).find(says) ?? '')
  if (indent === 0) throw notEditable('has its "build" in a form that zarf does not write')
  return { lines, indent, children: childrenOf(lines, { start: at + 1, end, indent }), end }
}

function childrenOf(
  lines: readonly string[],
  { start, end, indent }: { start: number; end: number; indent: number },
): Child[] {
  const children: Child[] = []
  for (let index = start; index < end; index++) {
    const line = lines[index] ?? ''
    if (!says(line)) continue
    const own = indentOf(line)
    const last = children.at(-1)
    if (own < indent) throw notEditable('has lines of its "build" that do not stand below each other')
    const isKey = own === indent && !line.startsWith('-', own)
    if (isKey) children.push({ ...keyOf(line.slice(own)), start: index, end: index + 1 })
    else if (last) last.end = index + 1
  }
  return children
}

function keyOf(text: string): Pick<Child, 'key' | 'value'> {
  const [, key, value = ''] = /^([A-Za-z]+):(?: +(\S.*))?$/.exec(text.trimEnd()) ?? []
  return { key, value }
}

function indentOf(line: string): number {
  let at = 0
  while (line[at] === ' ') at += 1
  return at
}

/** Whether it is more than space and a remark. */
function says(line: string): boolean {
  const text = line.trim()
  return text !== '' && !text.startsWith('#')
}

function notEditable(why: string): AppError {
  return new AppError('PACKAGE_NOT_SIGNABLE', `${DEFINITION} ${why}, so it cannot be signed without writing it anew`, {
    hint: 'Sign it with zarf, which does write it anew (zarf package sign), and publish that.',
    details: { path: DEFINITION },
  })
}
