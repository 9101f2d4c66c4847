import type { Descriptor } from '../../content/descriptor.ts'
import { AppError } from '../../lib/errors.ts'
import { jsonObject } from '../../lib/formats/json-object.ts'
import { beyondBounds } from '../../lib/loop/json-bounds.ts'

/** Helm's. Source: helm v3 pkg/registry/constants.go. */
export const CHART_CONFIG = 'application/vnd.cncf.helm.config.v1+json'
export const IMAGE_CONFIGS: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])

/** Charts' and images' are some KiB. */
const MAX_CONFIG_BYTES = 1024 * 1024
const BOUNDS = { values: 50_000, keys: 5000, depth: 64 }

interface ConfigFacts {
  readonly name?: string
  readonly version?: string
  readonly description?: string
  readonly created?: string
  readonly architecture?: string
}

/** What a chart's or an image's config says of it; nothing where it is larger than any, or no JSON. Throws what `read` throws. */
export async function readConfig(
  config: Descriptor,
  { read, where }: { read: (blob: Descriptor) => Promise<Buffer>; where: string },
): Promise<ConfigFacts> {
  if (config.size > MAX_CONFIG_BYTES) return {}
  const bytes = await read(config)
  const why = beyondBounds(bytes, BOUNDS)
  if (why !== undefined) throw new AppError('MANIFEST_TOO_LARGE', `the config of ${where} ${why}`)
  const body = jsonObject(bytes.toString('utf8')) ?? {}
  const fields = ['name', 'version', 'description', 'created', 'architecture'] as const
  const texts = fields.flatMap((field) => (typeof body[field] === 'string' ? [[field, body[field]]] : []))
  return Object.fromEntries(texts) as ConfigFacts
}
