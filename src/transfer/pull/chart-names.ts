import { artifactInvalid } from '../../artifact/artifact.ts'
import { chartFileName, chartTag, HELM_CONFIG, HELM_PROVENANCE } from '../../artifact/chart.ts'
import type { Descriptor } from '../../content/descriptor.ts'
import type { ImageManifest } from '../../content/manifest.ts'
import type { Reference } from '../../content/reference.ts'
import { jsonObject } from '../../lib/formats/json-object.ts'

/** Far above any Chart.yaml. */
const MAX_CONFIG_BYTES = 1024 * 1024

/**
 * What the layers of a Helm chart are called as files, which have no titles: as helm calls them; undefined for what is no chart.
 * Throws ARTIFACT_INVALID where the chart says that it is another one than that whose repository and tag it lies under: its name
 * becomes a file's.
 */
export async function chartNames(
  { config }: ImageManifest,
  {
    request: { reference },
    where,
    read,
  }: { request: { reference: Reference }; where: string; read: (blob: Descriptor) => Promise<Buffer> },
): Promise<((layer: Descriptor) => string) | undefined> {
  if (config?.mediaType !== HELM_CONFIG) return undefined
  if (config.size > MAX_CONFIG_BYTES) {
    const message = `the config of ${where} has ${config.size} bytes, more than ${MAX_CONFIG_BYTES}`
    throw artifactInvalid(message, HINT, { size: config.size, limit: MAX_CONFIG_BYTES })
  }
  const { name, version } = jsonObject((await read(config)).toString('utf8')) ?? {}
  if (typeof name !== 'string' || typeof version !== 'string') {
    throw artifactInvalid(`the config of ${where} names no chart`, HINT)
  }
  const { repository, tag = chartTag(version) } = reference
  if (repository !== name && !repository.endsWith(`/${name}`)) throw another(where, name, version)
  if (tag !== chartTag(version)) throw another(where, name, version)
  const fileName = chartFileName({ name, version })
  return ({ mediaType }) => (mediaType === HELM_PROVENANCE ? `${fileName}.prov` : fileName)
}

const HINT = 'helm push writes charts whose repository and tag are their name and version: push it again.'

function another(where: string, name: string, version: string): Error {
  const chart = `${name.slice(0, 100)} ${version.slice(0, 100)}`
  return artifactInvalid(`what lies under ${where} says that it is another chart: ${chart}`, HINT)
}
