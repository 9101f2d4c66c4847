import { descriptorTitle } from '../content/descriptor.ts'
import type { Digest } from '../content/digest.ts'
import { formatReference, type Reference } from '../content/reference.ts'
import { isAppError } from '../lib/errors.ts'
import { nextTurn } from '../lib/loop/breathe.ts'
import type { Repository } from '../oci/registry.ts'
import { packageFileName } from '../zarf/package.ts'
import { metadataLayers, packageLayers, readMetadata, withConfig } from '../zarf/pulled-package.ts'
import { componentImages } from '../zarf/select.ts'
import { packageSource } from './package-source.ts'
import { totalBytes } from './plan.ts'
import { checkArchitecture, resolvePackage, type ResolveRequest } from './resolve.ts'

export interface InspectedComponent {
  readonly name: string
  readonly description: string | null
  readonly required: boolean
  readonly default: boolean
  readonly group: string | null
  readonly images: readonly string[]
}

/** A remote package, as its metadata layers tell it. */
export interface InspectedPackage {
  /** oci://HOST/NS/NAME:TAG */
  readonly reference: string
  /** The index under the tag; null for a manifest that lies there directly. */
  readonly indexDigest: Digest | null
  /** The package's manifest. */
  readonly digest: Digest
  readonly name: string
  readonly version: string | null
  readonly flavor: string | null
  readonly architecture: string
  /** Of the tag. */
  readonly architectures: readonly string[]
  /** Of the repository; null where the registry does not list them. */
  readonly tags: readonly string[] | null
  readonly components: readonly InspectedComponent[]
  readonly images: readonly string[]
  readonly layers: readonly { title: string; digest: Digest; size: number }[]
  /** Bytes of layers and config, each once. */
  readonly size: number
  readonly signed: boolean
  /** What zarf calls its archive; null where zarf.yaml does not say for which architecture it was built. */
  readonly fileName: string | null
  /** zarf.yaml as JSON, as zarf's own config blob has it: up to 16 MiB, so nobody parses it. */
  readonly definition: Buffer
}

/**
 * Looks at a package in its registry without fetching more than manifest and zarf.yaml. Throws what resolving and reading
 * throw: MANIFEST_*, ARCHITECTURE_NOT_FOUND, PACKAGE_*, REGISTRY_*.
 */
export async function inspectPackage(
  request: ResolveRequest,
  { repository, signal }: { repository: Repository; signal: AbortSignal },
): Promise<InspectedPackage> {
  const resolved = await resolvePackage(repository, request, signal)
  const layers = packageLayers(resolved.manifest, resolved.where)
  const source = packageSource(repository, signal)
  const [bytes, tags] = await Promise.all([
    source.read(metadataLayers(layers).definition),
    listTags(repository, signal),
  ])
  const { definition, definitionJson, identity, signed } = await readMetadata(layers, bytes, signal)
  if (resolved.indexDigest === undefined) checkArchitecture(identity.architecture, request)
  const components = definition.components ?? []
  const images = componentImages(components)
  await nextTurn()
  return {
    reference: formatReference(named(request.reference)),
    indexDigest: resolved.indexDigest ?? null,
    digest: resolved.raw.digest,
    name: identity.name,
    version: identity.version ?? null,
    flavor: identity.flavor ?? null,
    architecture: identity.architecture,
    architectures: resolved.indexDigest === undefined ? [identity.architecture] : resolved.architectures,
    tags,
    components: components.map((component) => ({
      name: component.name ?? '',
      description: component.description ?? null,
      required: component.required ?? false,
      default: component.default ?? false,
      group: component.group ?? null,
      images: componentImages([component]),
    })),
    images,
    layers: layers.layers.map((layer) => ({
      title: descriptorTitle(layer) ?? '',
      digest: layer.digest,
      size: layer.size,
    })),
    size: totalBytes(withConfig(layers, layers.layers)),
    signed,
    fileName: definition.build?.architecture ? packageFileName(definition) : null,
    definition: definitionJson,
  }
}

/** `name:tag@digest` is answered as the tag: the digest has its own field. */
export function named({ digest, ...reference }: Reference): Reference {
  return reference.tag === undefined && digest !== undefined ? { ...reference, digest } : reference
}

/** Many registries list tags to fewer people than may pull. */
async function listTags(repository: Repository, signal: AbortSignal): Promise<readonly string[] | null> {
  try {
    return await repository.tags({ signal })
  } catch (error) {
    if (!isAppError(error) || error.retry !== 'permanent') throw error
    return null
  }
}
