import type { Descriptor } from '../../content/descriptor.ts'
import { type Digest, digestAlgorithm } from '../../content/digest.ts'
import { AppError } from '../../lib/errors.ts'
import { blobPath, placeName, pullScope, type RepositoryContext } from '../request/repository-context.ts'
import type { CallOptions, RegistryRequest, RegistryResponse } from '../request/transport.ts'

/** What a HEAD may answer without meaning anything about the blob: it is then treated as absent and simply pushed. */
const UNKNOWN = [400, 405, 501]

/** HEAD of a blob. Undefined when it is absent, and when the registry's answer to HEAD means nothing. */
export async function statBlob(
  context: RepositoryContext,
  digest: Digest,
  options: CallOptions,
): Promise<{ size: number | null } | undefined> {
  const request: RegistryRequest = {
    method: 'HEAD',
    target: blobPath(context, digest),
    headers: { accept: '*/*' },
    scopes: pullScope(context),
    lane: 'control',
    op: 'look for blob',
    ...options,
  }
  const response = await context.transport.send(request, { allow: [...UNKNOWN, 403] })
  if (response.status === 403) return askByGet(context, request, response)
  await response.discard()
  if (response.status === 404 || UNKNOWN.includes(response.status)) return undefined
  await refuseWebPage(context, request, response)
  if (!sameDigest(response.header('docker-content-digest'), digest)) return undefined
  return { size: sizeOf(response) }
}

/** What an answer says that a blob has; null where it says nothing of the bytes as they are stored. */
export function sizeOf(response: RegistryResponse): number | null {
  return isCoded(response) ? null : lengthOf(response.header('content-length'))
}

/** Whether something between has put a coding around the bytes, which nobody asked for. */
export function isCoded(response: RegistryResponse): boolean {
  return !['', 'identity'].includes((response.header('content-encoding') ?? '').toLowerCase())
}

export async function blobExists(
  context: RepositoryContext,
  descriptor: Descriptor,
  options: CallOptions,
): Promise<boolean> {
  const found = await statBlob(context, descriptor.digest, options)
  if (!found) return false
  if (found.size === null || found.size === descriptor.size) return true
  throw new AppError(
    'SIZE_MISMATCH',
    `${placeName(context)} holds ${descriptor.digest} with ${found.size} bytes, expected ${descriptor.size}`,
    {
      op: 'look for blob',
      hint: "Its storage or the manifest that names it is damaged: compare both with the publisher's.",
      details: { digest: descriptor.digest, expected: descriptor.size, found: found.size },
      upstream: { registry: context.transport.registry, repository: context.repository, digest: descriptor.digest },
    },
  )
}

/** A web page in place of an answer: a proxy or a login page, never a registry. */
export async function refuseWebPage(
  context: RepositoryContext,
  request: RegistryRequest,
  response: RegistryResponse,
): Promise<void> {
  if (!/^text\/html\b/i.test(response.header('content-type') ?? '')) return
  throw await context.transport.error(request, response, 'a web page came in place of content')
}

/**
 * Whether a digest header agrees. Registries answer a sha512 question with the sha256 digest, so only digests of the
 * same algorithm can be compared; a missing header says nothing.
 */
export function sameDigest(header: string | undefined, digest: Digest): boolean {
  if (header === undefined || !header.startsWith(`${digestAlgorithm(digest)}:`)) return true
  return header === digest
}

export function lengthOf(header: string | undefined): number | null {
  return header !== undefined && /^\d+$/.test(header) ? Number(header) : null
}

/** Storage that a HEAD was redirected to may hold a signature for GET alone: one byte by GET tells the same. */
async function askByGet(
  context: RepositoryContext,
  head: RegistryRequest,
  refused: RegistryResponse,
): Promise<{ size: number | null } | undefined> {
  if (refused.url.pathname === head.target) throw await context.transport.error(head, refused)
  await refused.discard()
  const response = await context.transport.send({
    ...head,
    method: 'GET',
    headers: { accept: '*/*', range: 'bytes=0-0' },
  })
  response.abandon()
  if (response.status === 206) return { size: lengthOf(response.header('content-range')?.split('/')[1]) }
  return response.status === 200 ? { size: sizeOf(response) } : undefined
}
