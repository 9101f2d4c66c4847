import type { InspectedPackage, PackageViews, RemotePackage, RemoteRepository } from '../client/contract.ts'
import { cut, formatBytes, formatTable } from './format.ts'
import { signatureText } from './texts.ts'

/** What a screen has; undefined: as wide as it gets. */
type Columns = number | undefined

/** A package as a page; of a remote one with what the registry says of its tag. */
export function packageText(found: InspectedPackage & Partial<RemotePackage>): string {
  const { reference, architectures, tags } = found
  const of = architectures === undefined ? '' : ` (of ${architectures.join(', ')})`
  const facts = formatTable([
    ...(reference === undefined ? [] : [['reference', reference]]),
    ['digest', found.digest],
    ['name', found.name],
    ['version', found.version ?? ''],
    ...(found.flavor ? [['flavor', found.flavor]] : []),
    ['architecture', `${found.architecture}${of}`],
    ['size', `${formatBytes(found.size)} in ${found.layers.length} layers`],
    ['signed', found.signed ? 'yes' : 'no'],
    ...(tags === undefined ? [] : [['tags', tags?.join(', ') ?? 'not listed by the registry']]),
  ])
  return `${facts}\n${componentsText(found)}`
}

export function componentsText({ components }: Pick<InspectedPackage, 'components'>, columns?: Columns): string {
  const rows = components.map((component) => [
    component.name,
    component.required ? 'required' : component.default ? 'default' : 'optional',
    `${component.images.length} images`,
    [component.group ? `[${component.group}]` : '', component.description ?? ''].join(' ').trim(),
  ])
  return narrow([['COMPONENT', 'CHOICE', 'IMAGES', 'DESCRIPTION'], ...rows], columns)
}

export function imagesText({ images }: PackageViews['images']): string {
  return images.map((image) => `${image}\n`).join('')
}

export function sizesText({ size, images, components }: PackageViews['sizes']): string {
  const rows = components.map((component) => [
    component.name,
    formatBytes(component.size),
    formatBytes(component.files),
    formatBytes(component.images),
  ])
  const sum = `${formatBytes(size)} in all, ${formatBytes(images)} of it images, which components may share\n`
  return `${formatTable([['COMPONENT', 'SIZE', 'FILES', 'IMAGES'], ...rows])}\n${sum}`
}

export function variablesText({ variables, constants }: PackageViews['variables'], columns?: Columns): string {
  const rows = [
    ...variables.map(({ name, default: value, description, sensitive, prompt }) => {
      const marks = [sensitive ? 'sensitive' : '', prompt ? 'prompt' : ''].filter((mark) => mark !== '')
      return [name, ['variable', ...marks].join(', '), value ?? '', description ?? '']
    }),
    ...constants.map(({ name, value, description }) => [name, 'constant', value, description ?? '']),
  ]
  return narrow([['NAME', 'KIND', 'VALUE', 'DESCRIPTION'], ...rows], columns)
}

/** Names last: they may be long, and are what is copied. */
export function filesText(files: readonly { name: string; size: number; kind?: string }[]): string {
  return formatTable(
    files.map(({ name, size, kind }) => [formatBytes(size), ...(kind === undefined ? [] : [kind]), name]),
  )
}

/** One YAML stream, each text with where it comes from. */
export function packedText({ package: own = [], components }: Partial<PackageViews['values']>): string {
  const texts = [
    ...own.map((text) => ({ ...text, source: text.name })),
    ...(components ?? []).flatMap(({ name, files }) =>
      files.map((text) => ({ ...text, source: `${name}/${text.name}` })),
    ),
  ]
  return texts
    .map(({ source, size, content }) => {
      const body = content ?? `# ${formatBytes(size)}, not shown: name it to get it\n`
      return `---\n# Source: ${source}\n${body}${body.endsWith('\n') ? '' : '\n'}`
    })
    .join('')
}

export function signaturesText({ signed, signatures }: PackageViews['signatures']): string {
  if (signatures.length > 0) return signatures.map((signature) => `${signatureText(signature)}\n`).join('')
  return signed ? 'it says that it is signed, and holds no signature\n' : 'it is not signed\n'
}

/** The tags alone. */
export function tagsText({ reference, tags: names }: RemoteRepository): string {
  if (names.length === 0) return `${reference} has no tags; the registry may not know it\n`
  const inOrder = names.toSorted(new Intl.Collator('en', { numeric: true }).compare)
  return `${inOrder.join('\n')}\n`
}

/** Tags, and what those are that were looked into. */
export function repositoryText(found: RemoteRepository): string {
  if (found.tags.length === 0) return tagsText(found)
  const problems = new Map(found.problems.map(({ tag, code }) => [tag, code]))
  const rows = found.packages.map(({ tag, kind, version, flavor, architectures }) => [
    tag,
    kind,
    version ?? '',
    flavor ?? '',
    architectures.join(', '),
  ])
  const refused = [...problems].map(([tag, code]) => [tag, code, '', '', ''])
  const more = found.tags.length - rows.length - refused.length
  const rest = more > 0 ? `\n${more} more tags: layerd tags ${found.reference}\n` : ''
  return `${formatTable([['TAG', 'KIND', 'VERSION', 'FLAVOR', 'ARCHITECTURES'], ...rows, ...refused])}${rest}`
}

/** A table whose last column gives way to a screen's width. */
function narrow(rows: readonly (readonly string[])[], columns: Columns): string {
  const table = formatTable(rows)
  if (columns === undefined) return table
  return table
    .split('\n')
    .map((line) => cut(line, columns))
    .join('\n')
}
