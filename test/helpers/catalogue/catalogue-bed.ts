import { type Refresher, type RefresherOptions, startRefresher } from '../../../src/catalogue/refresh/refresher.ts'
import type { Descriptor } from '../../../src/content/descriptor.ts'
import { digestOf } from '../../../src/content/digest.ts'
import { rawManifest } from '../../../src/content/manifest.ts'
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/content/media-types.ts'
import { bufferOpener } from '../../../src/content/streams.ts'
import { createCatalogueRecords } from '../../../src/jobs/catalogue/catalogue.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { CredentialProvider } from '../../../src/oci/credentials/provider.ts'
import type { CatalogPackage, CatalogRegistry, CatalogVersion } from '../../../src/http/schemas/catalog/catalog.ts'
import { type Cleanup, defer } from '../cleanup.ts'
import { registryClient } from '../packages/publishing.ts'
import { openRepository } from '../registries/oci-client.ts'
import { startApp, type TestApp, type TestAppOptions } from '../streams/http-app.ts'
import { waitFor } from '../wait-for.ts'

export interface CataloguePage {
  items: CatalogPackage[]
  registries: Array<Pick<CatalogRegistry, 'host' | 'state' | 'refreshedAt' | 'error'>>
  nextPageToken?: string
}

export interface CatalogueBed extends TestApp {
  /** GET /v1/catalog with this query. */
  search(query?: string, headers?: Record<string, string>): Promise<CataloguePage>
  versions(ref: string, more?: string): Promise<{ items: CatalogVersion[]; nextPageToken?: string }>
  registry(host: string): Promise<CatalogRegistry>
  /** Puts a registry into the catalogue. */
  add(host: string, settings?: object): Promise<void>
  /** Waits for the end of a refresh that begins now or later. */
  refreshed(host: string, ask?: boolean): Promise<CatalogRegistry>
  /** One more process that refreshes. */
  refresher(more?: Partial<RefresherOptions>): Refresher
}

/** The API over a Redis of its own, and whoever keeps its catalogue. */
export async function startCatalogue(
  t: Cleanup,
  { credentials, ...options }: TestAppOptions & { credentials?: CredentialProvider } = {},
): Promise<CatalogueBed> {
  const bed = await startApp(t, options)
  const { app } = bed
  const registry = async (host: string) =>
    (await app.inject(`/v1/catalog/registries/${encodeURIComponent(host)}`)).json<CatalogRegistry>()
  return {
    ...bed,
    registry,
    search: async (query = '', headers = {}) =>
      (await app.inject({ url: `/v1/catalog?${query}`, headers })).json<CataloguePage>(),
    versions: async (ref, more = '') =>
      (await app.inject(`/v1/catalog/versions?ref=${encodeURIComponent(ref)}${more}`)).json(),
    async add(host, settings = {}) {
      const url = `/v1/catalog/registries/${encodeURIComponent(host)}`
      const answer = await app.inject({ method: 'PUT', url, headers: { 'if-none-match': '*' }, payload: settings })
      if (answer.statusCode !== 201) throw new Error(answer.body)
    },
    async refreshed(host, ask = false) {
      const before = ask ? (await registry(host)).startedAt : undefined
      if (ask) {
        const url = `/v1/catalog/registries/${encodeURIComponent(host)}/refresh`
        await app.inject({ method: 'POST', url, payload: {} })
      }
      const isOver = async () => {
        const now = await registry(host)
        return (now.state === 'ready' || now.state === 'failed') && now.startedAt !== before ? now : undefined
      }
      // Some hundred requests, on a machine that does much else.
      return await waitFor(`the catalogue of ${host}`, isOver, { timeoutMs: 240_000 })
    },
    refresher(more = {}) {
      const records = createCatalogueRecords({ ...bed.jobs.options, role: 'starting' })
      const refresher = startRefresher({
        records,
        clientFor: () => registryClient(t, credentials),
        limits: { requestsPerSecond: 10_000, tags: 100_000 },
        logger: silentLogger,
        everyMs: 50,
        ...more,
      })
      defer(t, async () => {
        await refresher.stop()
        await records.close()
      })
      return refresher
    },
  }
}

export interface SomeArtifact {
  /** Default: an image's. */
  configType?: string
  config?: object
  layers?: readonly Buffer[]
  annotations?: Record<string, string>
  artifactType?: string
}

const { signal } = new AbortController()

/** Pushes a manifest with its blobs, under a tag where one is named; what names it in an index. */
export async function putArtifact(
  t: Cleanup,
  place: { host: string; repository: string; tag?: string },
  { configType = 'application/vnd.oci.image.config.v1+json', config = {}, layers = [], ...more }: SomeArtifact = {},
): Promise<Descriptor> {
  const { host, repository: name, tag } = place
  const repository = await openRepository(t, host, { repository: name })
  const push = async (bytes: Buffer, mediaType: string): Promise<Descriptor> => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length }
    await repository.push(descriptor, bufferOpener(bytes), { signal, onEvent: () => undefined })
    return descriptor
  }
  const body = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: await push(Buffer.from(JSON.stringify(config)), configType),
    layers: await Promise.all(layers.map((layer) => push(layer, 'application/vnd.oci.image.layer.v1.tar'))),
    ...more,
  }
  const manifest = rawManifest(OCI_MANIFEST, Buffer.from(JSON.stringify(body)))
  await repository.putManifest(tag ?? manifest.digest, manifest, { signal })
  return { mediaType: OCI_MANIFEST, digest: manifest.digest, size: manifest.bytes.length }
}

export async function putIndex(
  t: Cleanup,
  { host, repository: name, tag }: { host: string; repository: string; tag: string },
  manifests: readonly Descriptor[],
): Promise<void> {
  const repository = await openRepository(t, host, { repository: name })
  const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }))
  await repository.putManifest(tag, rawManifest(OCI_INDEX, body), { signal })
}
