import { AppError, isAppError } from '../../lib/errors.ts'
import { hasUnseen } from '../../lib/text.ts'
import { decode } from '../../zarf/definition/decode.ts'
import type { AnyValue } from '../../zarf/definition/shape.ts'
import { loadYaml } from '../../zarf/definition/yaml.ts'
import type { YamlFile } from '../../zarf/definition/yaml-file.ts'
import { BUNDLE_DEFINITION } from '../layout/bundle-files.ts'
import type { BundleOutline, BundlePackageOutline, ChartOverrides, JsonValue } from './bundle-outline.ts'
import { BUNDLE_SHAPE, type BundleDocument, type BundlePackageDocument, OVERRIDE_SHAPE } from './bundle-shape.ts'

const FILE: YamlFile = { path: BUNDLE_DEFINITION, maker: 'uds' }
/** Real bundles have some ten; each costs a manifest and a zarf.yaml to look at. */
const MAX_PACKAGES = 500
/** Charts with overrides, of all packages together. */
const MAX_CHARTS = 10_000

/**
 * Reads a uds-bundle.yaml under the limits of a zarf.yaml (zarf/definition/yaml-limits.ts). Throws PACKAGE_INVALID,
 * PACKAGE_TOO_LARGE, PACKAGE_UNSAFE_PATH, each naming the field. Source: uds v0.35 pkg/legacy/utils ReadYAMLStrict, which passes
 * over unknown keys in the end.
 */
export function parseBundle(bytes: Buffer): BundleOutline {
  const [document, ...more] = load(bytes)
  if (document === undefined) throw invalid('is empty')
  if (more.length > 0) throw invalid(`holds ${more.length + 1} documents, where one is expected`)
  const found = decode(BUNDLE_SHAPE, document, FILE) ?? {}
  if (found.kind !== 'UDSBundle') throw invalid(`has the kind "${(found.kind ?? '').slice(0, 100)}", not UDSBundle`)
  const { packages = [] } = found
  if (packages.length > MAX_PACKAGES) throw tooMany('packages', packages.length, MAX_PACKAGES)
  const outlined = packages.map(packageOf)
  const charts = outlined.reduce((sum, { overrides }) => sum + overrides.length, 0)
  if (charts > MAX_CHARTS) throw tooMany('charts with overrides', charts, MAX_CHARTS)
  return { ...headOf(found), packages: outlined }
}

function load(bytes: Buffer): unknown[] {
  try {
    return loadYaml(bytes.toString('utf8'), FILE)
  } catch (error) {
    if (isAppError(error)) throw error
    const why = (error instanceof Error ? error.message : String(error)).slice(0, 300).split('\n')[0]
    throw new AppError('PACKAGE_INVALID', `${BUNDLE_DEFINITION} is not valid YAML: ${why}`, {
      cause: error,
      hint: 'uds writes this file: make the bundle again, or copy it again.',
      details: { path: BUNDLE_DEFINITION },
    })
  }
}

function headOf({ metadata = {}, build = {} }: BundleDocument): Omit<BundleOutline, 'packages'> {
  const { name = '', version, description, url, authors, documentation, source, vendor } = metadata
  const architecture = metadata.architecture || build.architecture || ''
  if (name === '') throw invalid('has no metadata.name')
  if (architecture === '') throw invalid('has neither metadata.architecture nor build.architecture')
  checkName('metadata.name', name)
  checkName('metadata.version', version)
  checkName('metadata.architecture', architecture)
  return {
    name,
    version: filled(version),
    architecture,
    metadata: {
      description: filled(description),
      url: filled(url),
      authors: filled(authors),
      documentation: filled(documentation),
      source: filled(source),
      vendor: filled(vendor),
    },
    build: {
      architecture: filled(build.architecture),
      timestamp: filled(build.timestamp),
      version: filled(build.version),
    },
  }
}

function packageOf(found: BundlePackageDocument, at: number): BundlePackageOutline {
  const {
    name = '',
    ref = '',
    optionalComponents = [],
    keylessVerification: keyless,
    imports = [],
    exports = [],
  } = found
  if (name === '') throw invalid(`has a package without a name (packages[${at}])`)
  return {
    name,
    description: filled(found.description),
    repository: filled(found.repository),
    path: filled(found.path),
    ref,
    namespace: filled(found.namespace),
    timeout: filled(found.timeout),
    flavor: filled(found.flavor),
    optionalComponents,
    publicKey: filled(found.publicKey) !== null,
    keyless: keyless
      ? {
          identity: filled(keyless.certificateIdentity) ?? filled(keyless.certificateIdentityRegexp),
          issuer: filled(keyless.certificateOIDCIssuer) ?? filled(keyless.certificateOIDCIssuerRegexp),
        }
      : null,
    imports: imports.map((each) => ({
      name: each.name ?? '',
      package: each.package ?? '',
      description: filled(each.description),
    })),
    exports: exports.map((each) => ({ name: each.name ?? '', description: filled(each.description) })),
    overrides: overridesOf(found.overrides, name),
  }
}

/** By component, by chart. */
function overridesOf(found: AnyValue | undefined, name: string): ChartOverrides[] {
  if (found === undefined || found === null) return []
  const all: ChartOverrides[] = []
  for (const [component, charts] of entriesOf(found, name)) {
    for (const [chart, set] of entriesOf(charts, name)) all.push(chartOf(component, chart, set))
  }
  return all
}

function chartOf(component: string, chart: string, set: AnyValue): ChartOverrides {
  const { namespace, values = [], variables = [], valuesFiles = [] } = decode(OVERRIDE_SHAPE, set, FILE) ?? {}
  return {
    component,
    chart,
    namespace: filled(namespace),
    values: values.map(({ path = '', value }) => ({ path, value: plain(value) })),
    valuesFiles,
    variables: variables.map((each) => ({
      name: each.name ?? '',
      path: each.path ?? '',
      description: filled(each.description),
      default: plain(each.default),
      type: filled(each.type),
      sensitive: each.sensitive ?? false,
      source: filled(each.source),
    })),
  }
}

function entriesOf(found: AnyValue, name: string): Iterable<[string, AnyValue]> {
  if (found === null) return []
  if (found instanceof Map) return found
  throw invalid(`has overrides of the package ${name.slice(0, 100)} that are no mapping of components to charts`)
}

function plain(value: AnyValue | undefined): JsonValue {
  if (value === undefined) return null
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

function filled(text: string | undefined): string | null {
  return text === undefined || text === '' ? null : text
}

/** They become a file's name; 255 bytes are the most that file systems take, of all together. */
const MAX_NAME = 80

function checkName(what: string, name = ''): void {
  if (name !== '..' && name.length <= MAX_NAME && !/[/\\]/.test(name) && !hasUnseen(name)) return
  throw new AppError(
    'PACKAGE_UNSAFE_PATH',
    `${what} in ${BUNDLE_DEFINITION}, ${JSON.stringify(name.slice(0, 160))}, is no part of a file name`,
    { details: { path: BUNDLE_DEFINITION, name: name.slice(0, 160) } },
  )
}

function tooMany(what: string, found: number, limit: number): AppError {
  return new AppError(
    'PACKAGE_TOO_LARGE',
    `${BUNDLE_DEFINITION} has ${found} ${what}; more than ${limit} are not read`,
    {
      details: { path: BUNDLE_DEFINITION, limit },
    },
  )
}

function invalid(why: string): AppError {
  return new AppError('PACKAGE_INVALID', `${BUNDLE_DEFINITION} ${why}`, {
    hint: 'uds writes this file: make the bundle again, or copy it again.',
    details: { path: BUNDLE_DEFINITION },
  })
}
