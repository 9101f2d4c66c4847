import { AppError, isAppError } from '../../lib/errors.ts'
import { hasUnseen } from '../../lib/text.ts'
import { decode } from './decode.ts'
import { DEFINITION_SHAPE, type PackageDefinition } from './definition-shape.ts'
import { checkMetadataSize, DEFINITION } from '../layout/metadata-files.ts'
import { migrate, normalize } from './migrations.ts'
import { loadYaml } from './yaml.ts'

export type { PackageDefinition } from './definition-shape.ts'

const V1ALPHA1 = 'zarf.dev/v1alpha1'
const V1BETA1 = 'zarf.dev/v1beta1'

/**
 * Reads zarf.yaml as zarf v0.84 does, migrations included: what comes back is what its config blob encodes. Throws
 * PACKAGE_INVALID, PACKAGE_TOO_LARGE, PACKAGE_UNSAFE_PATH. Source: zarf v0.84 src/internal/pkgcfg/pkgcfg.go.
 */
export function parseDefinition(bytes: Buffer): PackageDefinition {
  const documents = documentsByVersion(loadDocuments(bytes))
  const document = documents.get(V1ALPHA1)
  if (document === undefined) throw unknownVersion([...documents.keys()])
  const decoded = decode(DEFINITION_SHAPE, document) ?? {}
  // Beside a v1beta1 document the v1alpha1 one is zarf's own rendering of it, to which no migration applies.
  const definition = normalize(documents.has(V1BETA1) ? decoded : migrate(decoded))
  checkNames(definition)
  return definition
}

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])

/** All documents as YAML says them. Throws PACKAGE_INVALID, PACKAGE_TOO_LARGE. */
export function loadDocuments(bytes: Buffer): unknown[] {
  // zarf takes the mark for a part of the first key, and then finds no metadata.
  if (bytes.subarray(0, 3).equals(BYTE_ORDER_MARK))
    throw invalid('begins with a byte order mark, which zarf does not read')
  checkMetadataSize({ path: DEFINITION, size: bytes.length })
  try {
    return loadYaml(bytes.toString('utf8'))
  } catch (error) {
    if (isAppError(error)) throw error
    const why = (error instanceof Error ? error.message : String(error)).slice(0, 300).split('\n')[0]
    throw new AppError('PACKAGE_INVALID', `${DEFINITION} is not valid YAML: ${why}`, {
      cause: error,
      hint: 'zarf writes this file: make the package again, or copy it again.',
      details: { path: DEFINITION },
    })
  }
}

/** A document without apiVersion is v1alpha1, which is older than the field. */
function documentsByVersion(documents: readonly unknown[]): Map<string, unknown> {
  const byVersion = new Map<string, unknown>()
  for (const document of documents) {
    if (!(document instanceof Map)) throw invalid('is not a mapping')
    const version = document.get('apiVersion') || V1ALPHA1
    if (typeof version !== 'string') throw invalid('has an apiVersion that is not text')
    if (byVersion.has(version)) throw invalid(`has two documents of apiVersion ${version}`)
    byVersion.set(version, document)
  }
  return byVersion
}

function unknownVersion(found: readonly string[]): AppError {
  if (found.length === 0) return invalid('is empty')
  return new AppError('PACKAGE_INVALID', `${DEFINITION} has the apiVersion ${found.join(', ').slice(0, 300)}`, {
    hint: `layerd reads ${V1ALPHA1}, alone or, as zarf v0.84 writes it, beside ${V1BETA1}.`,
    details: { path: DEFINITION, found: found.map((version) => version.slice(0, 100)) },
  })
}

/** These become file names wherever the package is unpacked. Source: zarf v0.84 validatePackagePaths. */
function checkNames(definition: PackageDefinition): void {
  const { metadata, build, components = [] } = definition
  if (!metadata?.name) throw invalid('has no metadata.name')
  checkName('metadata.name', metadata.name)
  checkName('metadata.version', metadata.version)
  checkName('metadata.architecture', metadata.architecture)
  checkName('build.architecture', build?.architecture)
  checkName('build.flavor', build?.flavor)
  checkName('build.differentialPackageVersion', build?.differentialPackageVersion)
  for (const component of components) {
    checkName('the name of a component', component.name)
    for (const chart of component.charts ?? []) {
      checkName(`the name of a chart in ${component.name}`, chart.name)
      checkName(`the version of a chart in ${component.name}`, chart.version)
    }
    for (const manifest of component.manifests ?? []) {
      checkName(`the name of a manifest in ${component.name}`, manifest.name)
    }
  }
}

/** File systems take 255 bytes, and `.tar` follows. */
const MAX_NAME = 250

function checkName(what: string, name = ''): void {
  if (name !== '..' && name.length <= MAX_NAME && !/[/\\]/.test(name) && !hasUnseen(name)) return
  throw new AppError(
    'PACKAGE_UNSAFE_PATH',
    `${what} in ${DEFINITION}, ${JSON.stringify(name.slice(0, 160))}, is no file name`,
    {
      details: { path: DEFINITION, name: name.slice(0, 160) },
    },
  )
}

function invalid(why: string): AppError {
  return new AppError('PACKAGE_INVALID', `${DEFINITION} ${why}`, { details: { path: DEFINITION } })
}
