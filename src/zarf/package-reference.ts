import { isTag, parseTag } from '../content/reference.ts'
import { AppError } from '../lib/errors.ts'
import type { PackageIdentity } from './contents/types.ts'

/**
 * The tag a package is published under: `version[-flavor]`, or `override` as a whole. zarf wants a version even with an
 * override. Throws PACKAGE_VERSION_MISSING, TAG_INVALID. Source: zarf v0.84 src/pkg/zoci/utils.go.
 */
export function packageTag(identity: PackageIdentity, override?: string): string {
  const { name, version, flavor } = identity
  if (!version) {
    throw new AppError(
      'PACKAGE_VERSION_MISSING',
      `the package ${name} has no metadata.version, which publishing needs`,
      {
        hint: 'Set metadata.version in zarf.yaml and create the package again.',
        details: { name },
      },
    )
  }
  if (override !== undefined) return parseTag(override)
  const tag = flavor ? `${version}-${flavor}` : version
  if (isTag(tag)) return tag
  const why = tag.includes('+') ? ': a tag holds no +' : ''
  throw new AppError('TAG_INVALID', `the version "${tag.slice(0, 160)}" of ${name} cannot be a tag${why}`, {
    hint: `Choose one with options.tag, for example "${suggestion(tag)}".`,
    details: { tag: tag.slice(0, 160), name },
  })
}

function suggestion(tag: string): string {
  const cleaned = tag
    .replaceAll(/[^A-Za-z0-9_.-]/g, '_')
    .replace(/^[.-]+/, '')
    .slice(0, 128)
  return cleaned === '' ? 'latest' : cleaned
}
