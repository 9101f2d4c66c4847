import { type ImageIndex, type RawManifest } from '../../content/manifest.ts'
import { AppError } from '../../lib/errors.ts'

/** Source: zarf-packages.md 4.5: what uds makes with CLI_FEATURES=NextMode, an index of this type for each architecture. */
const NEXT_BUNDLE = 'application/vnd.defenseunicorns.uds.bundle.v1'

/** Throws PACKAGE_FORMAT_UNSUPPORTED for a bundle's index in the next format. */
export function checkNoNextBundle({ bytes }: Pick<RawManifest, 'bytes'>, where: string): void {
  // Few have the word in them, and others may be long.
  if (bytes.includes(NEXT_BUNDLE) && typeOf(bytes) === NEXT_BUNDLE) throw unsupported(where)
}

/** The same for what an archive's index.json names. */
export function checkNoNextEntries({ manifests }: ImageIndex, where: string): void {
  if (manifests.some(({ artifactType }) => artifactType === NEXT_BUNDLE)) throw unsupported(where)
}

/** Parsed once already, and found to be an index or a manifest. */
function typeOf(bytes: Buffer): unknown {
  return (JSON.parse(bytes.toString('utf8')) as { artifactType?: unknown }).artifactType
}

function unsupported(where: string): AppError {
  return new AppError(
    'PACKAGE_FORMAT_UNSUPPORTED',
    `${where} is a bundle in the next format of uds, which is not read here`,
    {
      hint: 'Copy it between registries as it is, or make it in the format of today: uds create without CLI_FEATURES=NextMode.',
    },
  )
}
