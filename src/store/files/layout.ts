import { join } from 'node:path'
import { type Digest, digestAlgorithm, digestHex, digestOf, isDigest } from '../../content/digest.ts'

/**
 * Where everything lies. The first three make an OCI image layout, so that any OCI tool reads the store; the rest is
 * ours beside it.
 *
 *     oci-layout  index.json  blobs/<algorithm>/<hex>
 *     packages/<hex>.json     one record a package: the truth that index.json is made from
 *     origins/<algorithm>-<hex>    the repositories that a blob's bytes came from, a line each
 *     ingest/<algorithm>-<hex>[.<origin>], .lock, .ranges    a blob on its way in, from one registry
 *     leases/<id>.json        what somebody pulls or serves right now
 *     lock                    held for moments: records with index, leases, collection
 *     users/<token>           a process that works on the store
 *     repair                  held by a repair, which nobody works beside
 */
export interface StoreLayout {
  readonly folder: string
  readonly index: string
  readonly lock: string
  readonly packages: string
  readonly ingests: string
  readonly originFolder: string
  readonly leases: string
  readonly users: string
  readonly repair: string
  readonly blobFolders: readonly string[]
  blob(digest: Digest): string
  /** `origin`: where it comes from; those who bring it from elsewhere do not wait for this one. */
  ingest(digest: Digest, origin?: string): string
  origins(digest: Digest): string
  record(digest: Digest): string
}

const ALGORITHMS = ['sha256', 'sha512'] as const

export function storeLayout(folder: string): StoreLayout {
  return {
    folder,
    index: join(folder, 'index.json'),
    lock: join(folder, 'lock'),
    packages: join(folder, 'packages'),
    ingests: join(folder, 'ingest'),
    originFolder: join(folder, 'origins'),
    leases: join(folder, 'leases'),
    users: join(folder, 'users'),
    repair: join(folder, 'repair'),
    blobFolders: ALGORITHMS.map((algorithm) => join(folder, 'blobs', algorithm)),
    blob: (digest) => join(folder, 'blobs', digestAlgorithm(digest), digestHex(digest)),
    ingest: (digest, origin) => join(folder, 'ingest', ingestName(digest, origin)),
    origins: (digest) => join(folder, 'origins', blobFileName(digest)),
    record: (digest) => join(folder, 'packages', `${digestHex(digest)}.json`),
  }
}

function blobFileName(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest)}`
}

/** So long a part of the origin's hash that nobody finds a name with the same. */
function ingestName(digest: Digest, origin?: string): string {
  const name = blobFileName(digest)
  return origin === undefined ? name : `${name}.${digestHex(digestOf(origin)).slice(0, 32)}`
}

/** The blob that a file among the ingests (a lock or a journal, too) or the origins is of. Those of older versions count. */
export function namedDigest(name: string): Digest | undefined {
  const [, digest = ''] =
    /^([^.]*)(?:\.(?:[0-9a-f]{8}|[0-9a-f]{32}))?(?:\.lock|\.ranges)?$/.exec(name.replace('-', ':')) ?? []
  return isDigest(digest) ? digest : undefined
}
