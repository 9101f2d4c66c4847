import { AppError } from '../../lib/errors.ts'
import { fieldOf, type Fields, type Shape, type Static } from './shape.ts'
import { goFloatText } from './yaml.ts'
import { ZARF_YAML, type YamlFile } from './yaml-file.ts'

/**
 * Reads a YAML tree into a shape by goccy/go-yaml's rules: unknown keys are passed over, null is the zero value, numbers
 * and booleans become text where text is wanted. The tree is bounded (yaml.ts). Throws PACKAGE_INVALID naming the field.
 * Source: goccy/go-yaml v1.19 decode.go decodeValue, convertValue.
 */
export function decode<const S extends Shape>(
  shape: S,
  node: unknown,
  file: YamlFile = ZARF_YAML,
): Static<S> | undefined {
  return decodeNode(shape, { file, node, at: '' }) as Static<S> | undefined
}

interface Place {
  readonly file: YamlFile
  readonly node: unknown
  readonly at: string
}

function decodeNode(shape: Shape, place: Place): unknown {
  const { node } = place
  if (node === null || node === undefined) return undefined
  switch (shape.kind) {
    case 'struct':
      return decodeStruct(shape.fields, place)
    case 'list':
      return decodeList(shape.of, place)
    case 'map':
      return decodeMap(place)
    case 'text':
      return scalarText(place)
    case 'flag':
      if (typeof node === 'boolean') return node
      throw wrong(place, 'true or false')
    case 'int':
      return scalarInteger(place)
    case 'int32':
      return BigInt.asIntN(32, scalarInteger(place))
    default:
      return decodeAny(place)
  }
}

function decodeStruct(fields: Fields, place: Place): Record<string, unknown> {
  const { node, at, file } = place
  if (!(node instanceof Map)) throw wrong(place, 'a mapping')
  const value: Record<string, unknown> = {}
  for (const [key, entry] of Object.entries(fields)) {
    if (!node.has(key)) continue
    const found = decodeNode(fieldOf(entry).shape, { file, node: node.get(key), at: at === '' ? key : `${at}.${key}` })
    if (found !== undefined) value[key] = found
  }
  return value
}

function decodeList(of: Shape, place: Place): unknown[] {
  if (!Array.isArray(place.node)) throw wrong(place, 'a list')
  return place.node.map(
    (node: unknown, index) => decodeNode(of, { ...place, node, at: `${place.at}[${index}]` }) ?? zero(of),
  )
}

/** A null inside a list is the zero value of the element. */
function zero(shape: Shape): unknown {
  if (shape.kind === 'struct') return {}
  return shape.kind === 'text' ? '' : undefined
}

function decodeMap(place: Place): Map<string, string> {
  if (!(place.node instanceof Map)) throw wrong(place, 'a mapping')
  const map = new Map<string, string>()
  for (const [key, node] of place.node) {
    const name = key === null ? '' : scalarText({ ...place, node: key })
    map.set(name, node === null ? '' : scalarText({ ...place, node, at: `${place.at}.${name}` }))
  }
  return map
}

function scalarText(place: Place): string {
  const { node } = place
  if (typeof node === 'string') return node
  if (typeof node === 'number') return goFloatText(node)
  if (typeof node === 'bigint' || typeof node === 'boolean') return String(node)
  throw wrong(place, 'text')
}

function scalarInteger(place: Place): bigint {
  const { node } = place
  if (typeof node === 'bigint') return node
  if (typeof node === 'number' && Number.isFinite(node)) return BigInt(Math.trunc(node))
  // Scientific notation without a dot is text to goccy and becomes a number here.
  if (typeof node === 'string' && /^[+]?[0-9.]+(?:[eE][+-]?[0-9]+)?$/.test(node)) {
    const value = Number(node)
    if (Number.isFinite(value)) return BigInt(Math.trunc(value))
  }
  throw wrong(place, 'a whole number')
}

function decodeAny(place: Place): unknown {
  const { node } = place
  if (Array.isArray(node)) {
    return node.map((item: unknown) => decodeNode({ kind: 'any' }, { ...place, node: item }) ?? null)
  }
  if (typeof node === 'number' && !Number.isFinite(node)) throw wrong(place, 'a number that JSON can hold')
  if (!(node instanceof Map)) return node
  const map = new Map<string, unknown>()
  for (const [key, item] of node) {
    map.set(
      scalarText({ ...place, node: key ?? 'null' }),
      decodeNode({ kind: 'any' }, { ...place, node: item }) ?? null,
    )
  }
  return map
}

function wrong(place: Place, expected: string): AppError {
  // A key of the file's may stand in it.
  const field = place.at.length > 300 ? `${place.at.slice(0, 300)}…` : place.at
  return new AppError('PACKAGE_INVALID', `${field || 'the document'} in ${place.file.path} is not ${expected}`, {
    details: { path: place.file.path, field },
  })
}
