import type { JobKind } from '../../state/kinds.ts'

export interface OptionField {
  /** As the interface names it; a dot for a member below. */
  readonly name: string
  readonly label: string
  readonly type: 'check' | 'text' | 'number' | 'list' | 'lines'
  readonly kinds: readonly JobKind[]
  readonly hint?: string
}

const ALL: readonly JobKind[] = ['publish', 'pull', 'copy', 'verify']
const MOVES: readonly JobKind[] = ['publish', 'pull', 'copy']

/** Those that people want now and then; the interface has more. */
export const OPTION_FIELDS: readonly OptionField[] = [
  { name: 'tag', label: 'Another tag', type: 'text', kinds: ['publish', 'copy'], hint: 'Default: the version.' },
  {
    name: 'tags',
    label: 'Tags that are copied',
    type: 'list',
    kinds: ['copy'],
    hint: 'Patterns such as 1.*, with commas between; the source is then a repository.',
  },
  {
    name: 'architecture',
    label: 'Architecture',
    type: 'text',
    kinds: ['pull', 'verify'],
    hint: 'Which of the tag’s packages, such as amd64.',
  },
  {
    name: 'architectures',
    label: 'Architectures',
    type: 'list',
    kinds: ['copy'],
    hint: 'With commas between. Default: all, and the index as it is.',
  },
  {
    name: 'components',
    label: 'Components',
    type: 'list',
    kinds: ['pull'],
    hint: 'Names or patterns, with commas between; -name takes away. Default: the whole package.',
  },
  { name: 'images', label: 'Images', type: 'list', kinds: ['pull'], hint: 'Names or patterns, with commas between.' },
  { name: 'metadataOnly', label: 'Only what describes the package', type: 'check', kinds: ['pull'] },
  { name: 'overwrite', label: 'Replace a file that is there', type: 'check', kinds: ['pull'] },
  { name: 'transient', label: 'Goes from the store once it was downloaded', type: 'check', kinds: ['pull'] },
  { name: 'scan', label: 'Read the archive once before anything is sent', type: 'check', kinds: ['publish'] },
  { name: 'plainHttp', label: 'Plain HTTP to the registry', type: 'check', kinds: ALL },
  { name: 'trace', label: 'Keep what each request to the registry did', type: 'check', kinds: ALL },
  { name: 'concurrency', label: 'Layers at once', type: 'number', kinds: MOVES, hint: 'Default: 6.' },
  {
    name: 'sign.keyRef',
    label: 'Sign with a key that layerd keeps',
    type: 'text',
    kinds: ['publish', 'copy'],
    hint: 'Its name. The signature is made of what is sent: it is another package then, with another digest.',
  },
  {
    name: 'verify.keyRef',
    label: 'Signed by a key that layerd keeps',
    type: 'text',
    kinds: ALL,
    hint: 'Its name. Nothing moves unless the package is signed by it.',
  },
  {
    name: 'verify.key',
    label: 'Signed by this public key',
    type: 'lines',
    kinds: ALL,
    hint: 'PEM: -----BEGIN PUBLIC KEY-----',
  },
]

/** Of a kind, as the interface takes them; what is empty is left out. */
export function optionsOf(kind: JobKind, said: Readonly<Record<string, string | boolean>>): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  for (const { name, type, kinds } of OPTION_FIELDS) {
    const value = valueOf(type, said[name])
    if (value === undefined || !kinds.includes(kind)) continue
    const [first = name, below] = name.split('.')
    options[first] = below === undefined ? value : { ...(options[first] as object | undefined), [below]: value }
  }
  return options
}

function valueOf(type: OptionField['type'], said: string | boolean | undefined): unknown {
  if (typeof said !== 'string') return said === true ? true : undefined
  const text = said.trim()
  if (text === '') return undefined
  if (type === 'number') return Number(text)
  if (type === 'lines') return `${text}\n`
  if (type !== 'list') return text
  const parts = text.split(/[\s,]+/).filter((part) => part !== '')
  return parts.length === 0 ? undefined : parts
}

export interface FilledOptions {
  readonly said: Record<string, string | boolean>
  /** What no field is there for. */
  readonly rest: Record<string, unknown>
}

/** The fields of options that somebody has given; together with the rest they are these options again. */
export function filledOf(kind: JobKind, options: Readonly<Record<string, unknown>>): FilledOptions {
  const rest = structuredClone(options) as Record<string, unknown>
  const said: Record<string, string | boolean> = {}
  for (const { name, type, kinds } of OPTION_FIELDS) {
    const [first = name, below] = name.split('.')
    const holder = below === undefined ? rest : rest[first]
    if (!kinds.includes(kind) || typeof holder !== 'object' || holder === null) continue
    const own = below ?? first
    const value = (holder as Record<string, unknown>)[own]
    const text = textOf(type, value)
    if (text === undefined) continue
    said[name] = text
    delete (holder as Record<string, unknown>)[own]
    if (below !== undefined && Object.keys(holder).length === 0) delete rest[first]
  }
  return { said, rest }
}

function textOf(type: OptionField['type'], value: unknown): string | boolean | undefined {
  if (type === 'check') return value === true ? true : undefined
  if (type === 'list') return Array.isArray(value) && value.every(isPlain) ? value.join(', ') : undefined
  return typeof value === (type === 'number' ? 'number' : 'string') ? String(value) : undefined
}

/** A blank or a comma in it would make it two. */
function isPlain(part: unknown): part is string {
  return typeof part === 'string' && !/[\s,]/.test(part)
}

/** Options of two makings; of a member below, too. */
export function joinedOptions(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const joined: Record<string, unknown> = { ...a }
  for (const [name, value] of Object.entries(b)) {
    const before = joined[name]
    const both = typeof value === 'object' && typeof before === 'object' && !Array.isArray(value)
    joined[name] = both ? { ...before, ...value } : value
  }
  return joined
}
