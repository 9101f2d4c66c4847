import {
  constructFromEvents,
  defineScalarTag,
  FAILSAFE_SCHEMA,
  mergeTag,
  NOT_RESOLVED,
  parseEvents,
  realMapTag,
  YAMLException,
} from 'js-yaml'
import { ZARF_YAML, type YamlFile } from './yaml-file.ts'
import { checkEvents, checkText, MAX_MERGED_KEYS, MAX_PARSER_DEPTH, tooDeep, tooManyMerges } from './yaml-limits.ts'

/**
 * YAML as goccy/go-yaml v1.19 reads it, which zarf uses. Integers are bigints and floats numbers, so that what a value
 * was is still known where a string is wanted: `1.10` is the text "1.1" there, and `010` is "8".
 * Source: goccy/go-yaml token/token.go (reserved words, toNumber).
 */
const NULLS: ReadonlySet<string> = new Set(['', '~', 'null', 'Null', 'NULL'])
const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
])
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...['.inf', '.Inf', '.INF'].map((word) => [word, Infinity] as const),
  ...['-.inf', '-.Inf', '-.INF'].map((word) => [word, -Infinity] as const),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, Number.NaN] as const),
])

const SCHEMA = FAILSAFE_SCHEMA.withTags(
  realMapTag,
  mergeTag,
  plainTag('null', (source) => (NULLS.has(source) ? null : undefined)),
  plainTag('bool', (source) => FLAGS.get(source)),
  plainTag('int', parseInteger),
  plainTag('float', parseFloating),
)

/**
 * All documents of a YAML text that are not empty. Mappings are Maps; values that aliases name are shared, and never hold
 * themselves. Throws PACKAGE_TOO_LARGE and PACKAGE_INVALID as yaml-limits.ts says, and js-yaml's YAMLException.
 */
export function loadYaml(text: string, file: YamlFile = ZARF_YAML): unknown[] {
  checkText(text, file)
  try {
    const events = parseEvents(text, { maxDepth: MAX_PARSER_DEPTH })
    checkEvents(events, text, file)
    const options = { source: text, schema: SCHEMA, maxTotalMergeKeys: MAX_MERGED_KEYS }
    return constructFromEvents(events, options).filter((document) => document !== null)
  } catch (error) {
    throw limitOf(error, file) ?? error
  }
}

/** The library tells its own limits by their words alone. */
function limitOf(error: unknown, file: YamlFile): Error | undefined {
  if (!(error instanceof YAMLException)) return undefined
  if (error.reason.startsWith('nesting exceeded')) return tooDeep(file)
  if (error.reason.startsWith('merge keys exceeded')) return tooManyMerges(file)
  return undefined
}

/** A float as Go's fmt.Sprint writes it: the shortest digits, with an exponent below 1e-4 and from 1e6 on. */
export function goFloatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  const [digits = '', exponent = ''] = value.toExponential().split('e')
  const power = Number(exponent)
  if (power >= -4 && power < 6) return Object.is(value, -0) ? '-0' : String(value)
  return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}

function plainTag<T>(name: string, parse: (source: string) => T | undefined) {
  return defineScalarTag<T>(`tag:yaml.org,2002:${name}`, {
    implicit: true,
    resolve(source) {
      const value = parse(source)
      return value === undefined ? NOT_RESOLVED : value
    },
    identify: () => false,
  })
}

const DIGITS: readonly [prefix: RegExp, digits: RegExp, base: string][] = [
  [/^0x/, /^[0-9a-fA-F]+$/, '0x'],
  [/^0o/, /^[0-7]+$/, '0o'],
  [/^0b/, /^[01]+$/, '0b'],
  [/^0(?=.)/, /^[0-7]+$/, '0o'],
  [/^/, /^[0-9]+$/, ''],
]
/** Of 64 bits, in base 2. */
const MAX_DIGITS = 64
const MAX_UINT64 = 2n ** 64n - 1n
const MIN_INT64 = -(2n ** 63n)

function parseInteger(source: string): bigint | undefined {
  const plain = unsigned(source)
  if (plain === undefined || plain.includes('.')) return undefined
  for (const [prefix, digits, base] of DIGITS) {
    if (!prefix.test(plain)) continue
    const rest = plain.replace(prefix, '')
    if (!digits.test(rest)) return undefined
    // Of millions of digits that would take most of a second.
    const significant = withoutLeading(rest, '0')
    if (significant.length > MAX_DIGITS) return undefined
    const value = BigInt(base + (significant || '0')) * (source.startsWith('-') ? -1n : 1n)
    return value > MAX_UINT64 || value < MIN_INT64 ? undefined : value
  }
  return undefined
}

function parseFloating(source: string): number | undefined {
  const special = NUMBERS.get(source)
  if (special !== undefined) return special
  const plain = unsigned(source)
  if (plain === undefined || !/^(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(plain)) return undefined
  const value = Number(plain) * (source.startsWith('-') ? -1 : 1)
  return Number.isFinite(value) ? value : undefined
}

function withoutLeading(text: string, unwanted: string): string {
  let start = 0
  while (text[start] === unwanted) start += 1
  return text.slice(start)
}

/** Without sign and the underscores that goccy allows between digits. */
function unsigned(source: string): string | undefined {
  if (!/^[+-]?[0-9.]/.test(source)) return undefined
  return source.replace(/^[+-]/, '').replaceAll('_', '')
}
