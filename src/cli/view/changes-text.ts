import { visible } from '../../lib/text.ts'
import type { PackageChanges } from '../client/contract.ts'
import { formatBytes } from './format.ts'

/** What is another between two packages: images, components, software, files, bytes. */
export function changesText(changes: PackageChanges): string {
  const { package: made, since, bytes, update, images, components } = changes
  const lines = [
    `${nameOf(since)} -> ${nameOf(made)}`,
    `  to move   ${formatBytes(bytes.toMove)} of ${formatBytes(made.size)}${update ? ` (${update.fileName}, ${formatBytes(update.size)})` : ''}`,
    ...namesOf('images', images),
    ...namesOf('components', components),
    ...softwareOf(changes),
    ...filesOf(changes),
  ]
  return lines.map((line) => `${visible(line)}\n`).join('')
}

function nameOf({ name, version, flavor, architecture, digest }: PackageChanges['package']): string {
  return `${[name, version, flavor, architecture].filter(Boolean).join(' ')} (${digest.slice(0, 19)})`
}

function namesOf(what: string, { added, removed, kept }: PackageChanges['images']): string[] {
  return [
    `${what}: ${added.length} new, ${removed.length} gone, ${kept} as before`,
    ...added.map((name) => `  + ${name}`),
    ...removed.map((name) => `  - ${name}`),
  ]
}

function softwareOf({ software, softwareReason }: PackageChanges): string[] {
  if (!software) return [`software: not compared, ${softwareReason ?? 'for no reason that is told'}`]
  const { changed, leftOut } = software
  return [
    `software: ${changed.length + leftOut} changes by the SBOMs`,
    ...changed.map(
      ({ type, name, before, after }) => `  ${signOf(before, after)} ${name} ${versionsOf(before, after)} (${type})`,
    ),
    ...(leftOut > 0 ? [`  and ${leftOut} more`] : []),
  ]
}

function signOf(before: readonly string[], after: readonly string[]): string {
  if (before.length === 0) return '+'
  return after.length === 0 ? '-' : '~'
}

function versionsOf(before: readonly string[], after: readonly string[]): string {
  return [before, after]
    .filter((versions) => versions.length > 0)
    .map((versions) => versions.join(', '))
    .join(' -> ')
}

function filesOf({ files: { added, removed, changed, kept } }: PackageChanges): string[] {
  return [
    `files: ${added.length} new, ${removed.length} gone, ${changed.length} changed, ${kept} as before`,
    ...added.map(({ title, size }) => `  + ${title} (${formatBytes(size)})`),
    ...removed.map(({ title, size }) => `  - ${title} (${formatBytes(size)})`),
    ...changed.map(({ title, size, before }) => `  ~ ${title} (${formatBytes(before.size)} -> ${formatBytes(size)})`),
  ]
}
