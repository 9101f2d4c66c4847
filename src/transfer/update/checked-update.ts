import type { Descriptor } from '../../content/descriptor.ts'
import { AppError } from '../../lib/errors.ts'
import type { PackageToStore } from '../../store/content-store.ts'
import type { UpdatedPackage } from '../../zarf/computed-update.ts'
import { chooseFiles } from '../../zarf/select.ts'
import type { UpdateArchive } from '../../zarf/update-archive.ts'
import { allBlobs } from '../../zarf/update-parts.ts'
import { totalBytes } from '../plan.ts'
import { type CheckedPackage, checkPackage } from '../signatures.ts'
import type { ApplyDependencies, ApplyOutcome, ApplyRequest } from './request.ts'

/** An update whose metadata vouch for what its list says. */
export interface CheckedUpdate extends CheckedPackage {
  readonly update: UpdateArchive
  readonly package: UpdatedPackage
  readonly components: readonly string[]
  readonly images: readonly string[]
  /** Whether a verification was asked for. */
  readonly verified: boolean
}

/** From what the archive begins with. Throws as checkPackage, and PACKAGE_INVALID where list and zarf.yaml name other packages. */
export async function checkUpdate(
  { update, verification }: Pick<ApplyRequest, 'update' | 'verification'>,
  { onEvent, signal }: Pick<ApplyDependencies, 'onEvent' | 'signal'>,
): Promise<CheckedUpdate> {
  const { fileName, layers, list } = update
  const read = async (layer: Descriptor) => headBytes(update, layer)
  const checked = await checkPackage(layers, { read, verification, where: fileName, signal })
  const { identity, definition } = checked.metadata
  onEvent({ type: 'package', identity })
  const { name, version = null, flavor = null, architecture } = identity
  const made = { name, version, flavor, architecture }
  checkNames(made, list.package, fileName)
  const message = `applying ${fileName}: ${name} ${version ?? ''} (${list.manifest.digest}) of the base ${list.base.digest}`
  onEvent({ type: 'log', level: 'info', message })
  const { components, images } = await chooseFiles(definition, {}, { byTitle: layers.byTitle, read })
  return { ...checked, update, package: made, components, images, verified: verification !== undefined }
}

/** What the store keeps of it. */
export function recordOf(checked: CheckedUpdate): Omit<PackageToStore, 'owner'> {
  const { update, metadata, components, images } = checked
  const { manifest, layers } = update
  return {
    ...checked.package,
    digest: manifest.digest,
    manifestMediaType: manifest.mediaType,
    manifestSize: manifest.bytes.length,
    references: [],
    size: totalBytes(allBlobs(layers)),
    layers: layers.layers.length,
    signed: metadata.signed,
    components: [...components],
    images: [...images],
  }
}

export function outcomeOf(checked: CheckedUpdate): ApplyOutcome {
  const { manifest, layers, list } = checked.update
  return {
    reference: `store:${manifest.digest}`,
    digest: manifest.digest,
    since: list.base.digest,
    ...checked.package,
    layers: layers.layers.length,
    bytes: totalBytes(allBlobs(layers)),
    ...(checked.verified ? { signatures: [...checked.signatures] } : {}),
  }
}

function headBytes({ head, fileName }: UpdateArchive, { digest }: Descriptor): Buffer {
  const bytes = head.get(digest)
  if (bytes) return bytes
  throw new AppError('INTERNAL', `${digest} of ${fileName} is not among what it begins with`)
}

function checkNames(made: UpdatedPackage, said: UpdatedPackage, fileName: string): void {
  const lie = (['name', 'version', 'flavor', 'architecture'] as const).find((field) => made[field] !== said[field])
  if (lie === undefined) return
  throw new AppError(
    'PACKAGE_INVALID',
    `${fileName} says that it makes the ${lie} ${JSON.stringify(said[lie])}, and its zarf.yaml has ${JSON.stringify(made[lie])}`,
    { hint: 'It was not made by layerd: download the update again.', details: { said, found: made } },
  )
}
