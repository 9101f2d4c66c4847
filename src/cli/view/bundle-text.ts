import { visible } from '../../lib/text.ts'
import type { Bundle } from '../client/contract.ts'
import { fold, formatBytes, formatTable } from './format.ts'

type BundlePackage = Bundle['packages'][number]

/** A bundle on one page: who it is, and of each package where it is from, what of it is in, and what a deploy sets. */
export function bundleText(found: Bundle, columns: number | undefined): string {
  const { metadata, build } = found
  const made = [build.timestamp, build.version && `uds ${build.version}`].filter((part) => part).join(', ')
  const facts = formatTable(
    [
      ['bundle', `${found.name} ${found.version ?? ''}`],
      ['about', metadata.description ?? ''],
      ['from', found.reference],
      ['digest', found.digest],
      ['for', `${found.architecture} (of ${found.architectures.join(', ')})`],
      ['size', `${formatBytes(found.size)} in ${found.layers} blobs, what it leaves out included`],
      ['signed', found.signed ? 'yes, unchecked' : 'no'],
      ['made', made],
      ['tags', found.tags?.join(', ') ?? ''],
    ].filter(([, text]) => text !== ''),
  )
  return `${fold(facts, columns)}${found.packages.map((each) => fold(packageText(each), columns)).join('')}`
}

/** Every image once, in order. */
export function bundleImages({ packages }: Bundle): string {
  const images = [...new Set(packages.flatMap((each) => each.images))].toSorted()
  return images.map((image) => `${visible(image)}\n`).join('')
}

function packageText(found: BundlePackage): string {
  const { name, version, components, size, images } = found
  const left = components.filter(({ included }) => !included).map((component) => component.name)
  const has = components.filter(({ included }) => included).map((component) => component.name)
  const lines = [
    `from ${found.repository ?? found.path ?? 'nowhere'} ${found.ref.split('@')[0]}`,
    found.digest,
    `has ${list(has)}${left.length === 0 ? '' : `; leaves out ${list(left)}`}`,
    ...about(found),
    ...found.overrides.flatMap(overrideLines),
    ...found.variables.map((each) => `variable ${each.name}${defaultOf(each)}, of the package`),
    ...found.imports.map((each) => `imports ${each.name} of ${each.package}`),
    ...found.exports.map((each) => `exports ${each.name}`),
  ]
  const head = `${name} ${version ?? ''}: ${formatBytes(size)} in ${found.layers} layers, ${images.length} images`
  return `\n${visible(head)}\n${lines.map((line) => `  ${visible(line)}\n`).join('')}`
}

function about({ namespace, publicKey, keyless, signed }: BundlePackage): string[] {
  const by = publicKey
    ? 'checked with its key'
    : keyless
      ? `by ${keyless.identity ?? 'anybody'}`
      : 'nobody says by whom'
  return [
    ...(signed || publicKey || keyless ? [`${signed ? 'signed' : 'not signed'}, ${by}`] : []),
    ...(namespace === null ? [] : [`goes to the namespace ${namespace}`]),
  ]
}

function overrideLines({ component, chart, ...set }: BundlePackage['overrides'][number]): string[] {
  const where = `${component}/${chart}`
  return [
    ...set.values.map(({ path, value }) => `sets ${where} ${path} = ${JSON.stringify(value)}`),
    ...set.valuesFiles.map((file) => `sets ${where} by ${file}`),
    ...(set.namespace === null ? [] : [`sets ${where} to the namespace ${set.namespace}`]),
    ...set.variables.map((each) => `variable ${each.name}${defaultOf(each)}, for ${where} ${each.path}`),
  ]
}

function defaultOf({ default: value, sensitive }: { default: unknown; sensitive: boolean }): string {
  if (value === null || value === undefined) return ''
  return sensitive ? ' (has a default)' : ` (${typeof value === 'string' ? value : JSON.stringify(value)})`
}

function list(names: readonly string[]): string {
  return names.length === 0 ? 'no components' : names.join(', ')
}
