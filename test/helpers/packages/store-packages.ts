import { randomBytes } from 'node:crypto'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import { OCI_MANIFEST, ZARF_CONFIG, ZARF_LAYER } from '../../../src/content/media-types.ts'
import { bufferOpener } from '../../../src/content/streams.ts'
import type { ContentStore, StoredPackage } from '../../../src/store/content-store.ts'

const { signal } = new AbortController()

export function blobOf(bytes: Buffer, title?: string, mediaType = ZARF_LAYER): Descriptor {
  const annotations = title === undefined ? {} : { annotations: { 'org.opencontainers.image.title': title } }
  return { mediaType, digest: digestOf(bytes), size: bytes.length, ...annotations }
}

export interface StoredSample {
  record: StoredPackage
  manifest: Descriptor
  layers: Descriptor[]
}

/** Puts a package of these layers into a store, as a pull would; `leaveOut` layers are named and not stored. */
export async function storeSample(
  store: ContentStore,
  options: {
    name?: string
    layers?: Buffer[]
    leaveOut?: number
    holder?: string
    owner?: string
    reference?: string
  } = {},
): Promise<StoredSample> {
  const {
    holder,
    owner,
    reference,
    name = 'sample',
    layers: contents = [randomBytes(3000), randomBytes(5000)],
    leaveOut = 0,
  } = options
  const config = Buffer.from(JSON.stringify({ name }))
  const configBlob = blobOf(config, undefined, ZARF_CONFIG)
  const layers = contents.map((bytes, index) => blobOf(bytes, `components/c${index}.tar`))
  const annotations = { 'org.opencontainers.image.title': name }
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: configBlob, layers, annotations }),
  )
  const manifest = blobOf(bytes, undefined, OCI_MANIFEST)
  await store.push(manifest, bufferOpener(bytes), { signal })
  await store.push(configBlob, bufferOpener(config), { signal })
  for (const [index, layer] of layers.slice(leaveOut).entries()) {
    await store.push(layer, bufferOpener(contents[index + leaveOut] as Buffer), { signal })
  }
  const record = await store.packages.put({
    digest: manifest.digest,
    manifestMediaType: OCI_MANIFEST,
    manifestSize: manifest.size,
    name,
    version: '1.0.0',
    flavor: null,
    architecture: 'amd64',
    references: [reference ?? `oci://registry.example/team/${name}:1.0.0`],
    size: layers.reduce((sum, layer) => sum + layer.size, configBlob.size),
    layers: layers.length,
    signed: false,
    components: layers.map((_, index) => `c${index}`).slice(leaveOut),
    leftOut: layers.slice(0, leaveOut).map(({ digest }) => digest),
    ...(owner === undefined ? {} : { owner }),
    ...(holder === undefined ? {} : { holder }),
  })
  return { record, manifest, layers }
}
