import { AppError } from '../../lib/errors.ts'
import type { DefinitionOutline } from '../definition/outline.ts'
import { DEFINITION } from '../layout/metadata-files.ts'
import type { PackageIdentity } from './types.ts'

/**
 * The name zarf gives the archive of this package. Throws PACKAGE_INVALID without a build architecture.
 * Source: zarf v0.84 layout/package.go FileName.
 */
export function packageFileName(definition: DefinitionOutline): string {
  const { metadata = {}, build = {}, kind = 'ZarfPackageConfig' } = definition
  if (!build.architecture) {
    throw new AppError('PACKAGE_INVALID', `${DEFINITION} has no build.architecture, so the package has no file name`)
  }
  const parts = [...kindParts(kind, metadata.name ?? ''), build.architecture]
  if (build.differential) {
    parts.push(build.differentialPackageVersion ?? '', 'differential', metadata.version ?? '')
  } else if (metadata.version) {
    parts.push(metadata.version)
  }
  if (build.flavor) parts.push(build.flavor)
  const name = parts.join('-').split('/').at(-1)
  return `${name}${metadata.uncompressed ? '.tar' : '.tar.zst'}`
}

function kindParts(kind: string, name: string): string[] {
  if (kind === 'ZarfPackageConfig') return ['zarf', 'package', name]
  return kind === 'ZarfInitConfig' ? ['zarf', 'init'] : ['zarf', kind.toLowerCase()]
}

const ARCHITECTURES: ReadonlySet<string> = new Set('amd64 arm64 skeleton 386 arm ppc64le riscv64 s390x'.split(' '))
const PACKAGE_NAME = /^[a-z0-9][a-z0-9-]*$/

/**
 * Identity from a conventional file name, or undefined. Version and flavor cannot be told apart in it, and need not be:
 * a tag joins them the same way. A name that holds the word of an architecture may be cut short; zarf.yaml decides.
 */
export function guessFromFileName(fileName: string): PackageIdentity | undefined {
  const extension = ['.tar.zst', '.tar'].find((each) => fileName.endsWith(each))
  if (extension === undefined) return undefined
  const [zarf, kind, ...words] = fileName.slice(0, -extension.length).split('-')
  if (zarf !== 'zarf' || (kind !== 'package' && kind !== 'init')) return undefined
  const isArchitecture = (word: string, index: number) =>
    ARCHITECTURES.has(word) && (index + 1 === words.length || words.slice(index + 1, index + 3).join('-') !== '')
  // The name of a package may itself begin with the word of an architecture.
  const at = words.findIndex((word, index) => (kind === 'init' || index > 0) && isArchitecture(word, index))
  const name = kind === 'init' ? kind : words.slice(0, at).join('-')
  if (at === -1 || (kind === 'init' && at > 0) || !PACKAGE_NAME.test(name)) return undefined
  const rest = words.slice(at + 1).join('-')
  const version = rest === '' ? undefined : rest.replace(/^.*-differential-/, '')
  return { name, version, flavor: undefined, architecture: words[at] as string }
}
