import { type AnyValue, type Field, fieldOf, type Shape } from './shape.ts'

/**
 * JSON exactly as Go's encoding/json writes it. The config blob's digest stands in the manifest, so one other byte makes
 * another package. Source: go1.25 encoding/json encode.go (escapeHTML on, the default of json.Marshal).
 */
export function encodeGoJson(shape: Shape, value: unknown): string {
  switch (shape.kind) {
    case 'struct':
      return encodeStruct(Object.entries(shape.fields), (value ?? {}) as Record<string, unknown>)
    case 'list':
      return value === undefined ? 'null' : array((value as unknown[]).map((item) => encodeGoJson(shape.of, item)))
    case 'map':
      return value === undefined ? 'null' : encodeMap(value as ReadonlyMap<string, string>)
    case 'text':
      return encodeText((value as string | undefined) ?? '')
    case 'flag':
      return String((value as boolean | undefined) ?? false)
    case 'int':
    case 'int32':
      return String((value as bigint | undefined) ?? 0)
    default:
      return encodeAny(value as AnyValue | undefined)
  }
}

/** What stands for itself; most texts are so. */
const PLAIN = /^[ !#-%'-;=?-[\]-~]*$/

/** A string with the escapes that JSON.stringify leaves out: `<`, `>`, `&` and the two JavaScript line ends. */
export function encodeText(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`
  return JSON.stringify(value.toWellFormed()).replaceAll(/[<>&\u2028\u2029]/g, escapeUnit)
}

/**
 * Go sorts by bytes of UTF-8; JavaScript's order differs for characters outside the BMP alone. Others chose how many are
 * sorted, so no buffers are made of them.
 */
export function compareBytes(a: string, b: string): number {
  if (!BEYOND_ORDER.test(a) && !BEYOND_ORDER.test(b)) return a < b ? -1 : Number(a > b)
  if (!a.isWellFormed() || !b.isWellFormed()) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  const shorter = Math.min(a.length, b.length)
  for (let at = 0; at < shorter; at++) {
    const [inA, inB] = [a.charCodeAt(at), b.charCodeAt(at)]
    if (inA !== inB) return Math.sign(rank(inA) - rank(inB))
  }
  return Math.sign(a.length - b.length)
}

/** Units from where on UTF-16 sorts otherwise than UTF-8. */
const BEYOND_ORDER = /[\ud800-\uffff]/

/** Surrogates stand for characters beyond U+FFFF. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit
}

export function encodeMap(entries: ReadonlyMap<string, string>): string {
  return object([...entries].map(([key, value]) => [key, encodeText(value)]))
}

function encodeStruct(fields: [string, Shape | Field][], value: Record<string, unknown>): string {
  const parts: string[] = []
  for (const [key, entry] of fields) {
    const { shape, keep } = fieldOf(entry)
    const found = value[key]
    if (keep === 'set' && found === undefined) continue
    if (keep === 'filled' && isEmpty(found)) continue
    parts.push(`"${key}":${encodeGoJson(shape, found)}`)
  }
  return `{${parts.join(',')}}`
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (value instanceof Map) return value.size === 0
  return value === undefined || value === false || value === '' || value === 0n
}

function encodeAny(value: AnyValue | undefined): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return array(value.map((item) => encodeAny(item)))
  if (value instanceof Map) return object([...value].map(([key, item]) => [key, encodeAny(item)]))
  if (typeof value === 'string') return encodeText(value)
  return Object.is(value, -0) ? '-0' : String(value)
}

function array(items: readonly string[]): string {
  return `[${items.join(',')}]`
}

function object(entries: [string, string][]): string {
  const sorted = entries.length < 2 ? entries : entries.toSorted(([a], [b]) => compareBytes(a, b))
  return `{${sorted.map(([key, value]) => `${encodeText(key)}:${value}`).join(',')}}`
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
