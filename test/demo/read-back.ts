import { createHash } from 'node:crypto'
import type { JobResult } from '../../src/jobs/model/definitions.ts'

const INDEX = 'application/vnd.oci.image.index.v1+json'
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

interface Descriptor {
  digest: string
  size: number
  annotations?: Record<string, string>
}

export interface ReadBack {
  /** The package's manifest, as the registry gives it. */
  manifest: Buffer
  /** Digest of each layer by its title. */
  layers: Map<string, string>
  blobs: number
  bytes: number
}

/**
 * Reads a published package from the registry with plain requests: index, manifest, every blob to its last byte, each
 * hashed here. Throws at the first thing that is not as the job's result and the manifests say.
 */
export async function readBack(registryUrl: string, result: JobResult): Promise<ReadBack> {
  const [, path = '', tag = ''] = /^oci:\/\/[^/]+\/(.+):([^:]+)$/.exec(result.reference) ?? []
  const repository = `${registryUrl}/v2/${path}`
  const index = await readManifest(`${repository}/manifests/${tag}`, INDEX)
  expectEqual('the digest of the index', sha256(index), result.indexDigest ?? '')
  const entries = (JSON.parse(index.toString()) as { manifests: Descriptor[] }).manifests
  expectEqual('the index entry', String(entries.some(({ digest }) => digest === result.digest)), 'true')

  const manifest = await readManifest(`${repository}/manifests/${result.digest}`, MANIFEST)
  expectEqual('the digest of the manifest', sha256(manifest), result.digest)
  const { config, layers } = JSON.parse(manifest.toString()) as { config: Descriptor; layers: Descriptor[] }
  const blobs = new Map([config, ...layers].map((descriptor) => [descriptor.digest, descriptor]))
  let bytes = 0
  for (const descriptor of blobs.values()) bytes += await readBlob(`${repository}/blobs/`, descriptor)
  const titled = layers.map(
    ({ digest, annotations }) => [annotations?.['org.opencontainers.image.title'] ?? digest, digest] as const,
  )
  return { manifest, layers: new Map(titled), blobs: blobs.size, bytes }
}

async function readManifest(url: string, accept: string): Promise<Buffer> {
  const response = await fetch(url, { headers: { accept } })
  if (!response.ok) throw new Error(`GET ${url} answered ${response.status}`)
  return Buffer.from(await response.arrayBuffer())
}

async function readBlob(base: string, { digest, size }: Descriptor): Promise<number> {
  const head = await fetch(base + digest, { method: 'HEAD' })
  expectEqual(`the length of ${digest}`, head.headers.get('content-length') ?? `HTTP ${head.status}`, String(size))
  const response = await fetch(base + digest)
  if (!response.ok || response.body === null) throw new Error(`GET ${base}${digest} answered ${response.status}`)
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    hash.update(chunk)
    bytes += chunk.length
  }
  expectEqual(`the digest of ${digest}`, `sha256:${hash.digest('hex')}`, digest)
  return bytes
}

function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function expectEqual(what: string, found: string, expected: string): void {
  if (found !== expected) throw new Error(`${what} is ${found}, not ${expected}`)
}
