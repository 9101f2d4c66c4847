import { digestOf, type Digest } from '../../content/digest.ts'
import type { ReadDefinition, SignedDefinition } from '../definition/read-definition.ts'
import { SIGSTORE_BUNDLE, DEFINITION, LEGACY_SIGNATURE } from '../layout/metadata-files.ts'
import { identityOf } from './contents.ts'
import { buildManifest } from './manifest.ts'
import type { PackageContents, PackageFile } from './types.ts'

/** A file that signing makes. */
export interface MadeFile extends PackageFile {
  readonly bytes: Buffer
}

/** What signing makes of a package: its zarf.yaml, and the signature over that. */
export interface MadeFiles {
  readonly definition: MadeFile
  readonly bundle: MadeFile
  readonly read: ReadDefinition
}

/** What has no place in a package once it is signed anew. Source: zarf v0.84 layout/package.go SignPackage. */
export const REPLACED: ReadonlySet<string> = new Set([DEFINITION, SIGSTORE_BUNDLE, LEGACY_SIGNATURE])

export function madeFiles({ bytes, read }: SignedDefinition, bundle: Buffer): MadeFiles {
  return { definition: made(DEFINITION, bytes), bundle: made(SIGSTORE_BUNDLE, bundle), read }
}

/** The package that these files make of an other one: all other files are its own, and checksums.txt holds for them still. */
export async function signedContents(
  { files }: Pick<PackageContents, 'files'>,
  { definition, bundle, read }: MadeFiles,
): Promise<PackageContents> {
  const kept = files.filter(({ path }) => !REPLACED.has(path))
  const all = [...kept, ...[definition, bundle].map(({ path, digest, size }) => ({ path, digest, size }))]
  return {
    identity: identityOf(read.outline),
    definition: read.outline,
    signed: true,
    files: all,
    ...(await buildManifest(read, all)),
  }
}

function made(path: string, bytes: Buffer): MadeFile {
  const digest: Digest = digestOf(bytes)
  return { path, digest, size: bytes.length, bytes }
}
