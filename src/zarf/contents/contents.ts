import { digestHex, digestOf, type Digest } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import { parseChecksums } from '../layout/checksums.ts'
import type { DefinitionOutline } from '../definition/outline.ts'
import { type ReadDefinition, readDefinition } from '../definition/read-definition.ts'
import { CHECKSUMS, DEFINITION, isNeverListed, LEGACY_SIGNATURE, UPDATE_LIST } from '../layout/metadata-files.ts'
import { buildManifest } from './manifest.ts'
import type { PackageContents, PackageFile } from './types.ts'

/** A file as an archive or a folder holds it; `bytes` for those read whole because checksums.txt does not list them. */
export interface FoundFile extends PackageFile {
  readonly bytes: Buffer | undefined
}

/**
 * Puts a package together from all its files: zarf.yaml vouches for checksums.txt, and checksums.txt for exactly the
 * other files. Their bytes are verified when they are read. Throws PACKAGE_INVALID, PACKAGE_CHECKSUM_MISMATCH, and what
 * readDefinition and parseChecksums throw. `known`: what its zarf.yaml says, where it was read already. Source: zarf v0.84
 * layout/package.go validatePackageIntegrity.
 */
export async function packageContents(found: readonly FoundFile[], known?: ReadDefinition): Promise<PackageContents> {
  const byPath = new Map<string, FoundFile>()
  for (const file of found) {
    if (byPath.has(file.path)) throw duplicateFile(file.path)
    byPath.set(file.path, file)
  }
  const checksums = metadataBytes(byPath, CHECKSUMS)
  const read = known ?? (await readDefinition(metadataBytes(byPath, DEFINITION)))
  const { outline } = read
  checkAggregate(outline, checksums)
  await nextTurn()
  checkFiles(outline, parseChecksums(checksums), byPath)
  await nextTurn()
  const files = found.map(({ path, digest, size }) => ({ path, digest, size }))
  return {
    identity: identityOf(outline),
    definition: outline,
    signed: isSigned(outline, byPath),
    files,
    ...(await buildManifest(read, files)),
  }
}

/** zarf.yaml is the root of trust: it holds the sha256 of checksums.txt. */
export function checkAggregate(definition: DefinitionOutline, checksums: Buffer): void {
  const expected = definition.metadata?.aggregateChecksum
  if (!expected) throw invalid(`${DEFINITION} has no metadata.aggregateChecksum, so nothing vouches for ${CHECKSUMS}`)
  const found = digestHex(digestOf(checksums))
  if (found === expected) return
  throw new AppError(
    'PACKAGE_CHECKSUM_MISMATCH',
    `${CHECKSUMS} has the sha256 ${found}; ${DEFINITION} says ${expected}`,
    {
      hint: 'The package is damaged or was changed after it was made: copy it again, or make it again with zarf.',
      details: { path: CHECKSUMS, expected: `sha256:${expected}`, found: `sha256:${found}` },
    },
  )
}

/** Whether a package counts as signed: its own word, or, from before that word existed, its signature file. */
export function isSigned(definition: DefinitionOutline, paths: Pick<ReadonlySet<string>, 'has'>): boolean {
  return definition.build?.signed ?? paths.has(LEGACY_SIGNATURE)
}

/** Which files that checksums.txt does not list may be there: signatures, and what a signed package names itself. */
export function unlistedRule(
  definition: DefinitionOutline,
  paths: Pick<ReadonlySet<string>, 'has'>,
): (path: string) => boolean {
  const provenance = new Set(definition.build?.provenanceFiles)
  return (path) => isNeverListed(path) || (isSigned(definition, paths) && provenance.has(path))
}

export function unlistedFile(path: string): AppError {
  return invalid(`the package holds ${path}, which ${CHECKSUMS} does not list`, path)
}

export function duplicateFile(path: string): AppError {
  return invalid(`the package holds ${path} twice`, path)
}

export function missingFile(path: string): AppError {
  const why = path === CHECKSUMS || path === DEFINITION ? 'every package has' : `${CHECKSUMS} lists`
  return invalid(`the package does not hold ${path}, which ${why}`, path)
}

/** The file that every OCI image layout has. Source: OCI image-spec v1.1.1 image-layout.md. */
const OCI_LAYOUT = 'oci-layout'

/** Entries that tell what an archive is. */
export const TELLING: ReadonlySet<string> = new Set([UPDATE_LIST, OCI_LAYOUT])

/** What an archive that has no checksums.txt is instead, as far as its entries tell. */
export function insteadOfPackage(fileName: string, has: (path: string) => boolean): AppError {
  if (has(UPDATE_LIST)) return updateInstead(fileName)
  return has(OCI_LAYOUT) ? layoutInstead(fileName) : missingFile(CHECKSUMS)
}

function updateInstead(fileName: string): AppError {
  return new AppError('PACKAGE_FORMAT_UNSUPPORTED', `${fileName} is an update of layerd, and not a whole package`, {
    hint: 'layerd apply (a job of the kind apply) makes the package of it where the older one is stored; that is published or downloaded then.',
    details: { path: fileName },
  })
}

function layoutInstead(fileName: string): AppError {
  return new AppError('PACKAGE_INVALID', `${fileName} is an OCI layout, such as a UDS bundle, and not a Zarf package`, {
    hint: 'layerd bundle looks at a bundle. One that is to be published has to have the name that uds gives it: uds-bundle-NAME-ARCHITECTURE-VERSION.tar.zst.',
  })
}

function checkFiles(
  definition: DefinitionOutline,
  declared: ReadonlyMap<string, Digest>,
  byPath: ReadonlyMap<string, FoundFile>,
): void {
  for (const path of declared.keys()) if (!byPath.has(path)) throw missingFile(path)
  const mayBeUnlisted = unlistedRule(definition, byPath)
  for (const path of byPath.keys()) {
    if (!declared.has(path) && !mayBeUnlisted(path)) throw unlistedFile(path)
  }
}

function metadataBytes(byPath: ReadonlyMap<string, FoundFile>, path: string): Buffer {
  const bytes = byPath.get(path)?.bytes
  if (bytes === undefined) throw missingFile(path)
  return bytes
}

/** Who a package says it is. Throws PACKAGE_INVALID without any architecture. */
export function identityOf({ metadata, build }: DefinitionOutline): PackageContents['identity'] {
  const architecture = metadata?.architecture || build?.architecture
  if (!architecture) throw invalid(`${DEFINITION} has no architecture, neither in metadata nor in build`)
  return {
    name: metadata?.name ?? '',
    version: metadata?.version || undefined,
    flavor: build?.flavor || undefined,
    architecture,
  }
}

function invalid(message: string, path?: string): AppError {
  return new AppError('PACKAGE_INVALID', message, {
    hint: 'Only a package as zarf made it is taken: make it again with zarf, or copy it again.',
    ...(path === undefined ? {} : { details: { path } }),
  })
}
