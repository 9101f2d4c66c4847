import { advance, type BlobPush, openedAt, tellStart } from './push-state.ts'
import { noted, pushScope, uploadsPath } from '../request/repository-context.ts'
import type { RegistryRequest } from '../request/transport.ts'
import { OCTET_STREAM_HEADERS, sessionLocation } from './sessions/upload-requests.ts'

/** A refused single POST sends its body twice, so only small blobs are tried. */
const SINGLE_POST_MAX = 64 * 1024

/**
 * POST ?digest= with the blob in it: one request where the registry takes it (zot, ACR, Gitea), learnt once per
 * registry. distribution throws the body away and opens a session (202), which is used. Returns false when the session
 * is still to be opened. Source: OCI distribution-spec v1.1.1 "Single POST".
 */
export async function postWhole(push: BlobPush): Promise<boolean> {
  const { learned } = push.context
  const { size } = push.descriptor
  if (size === 0 || size > SINGLE_POST_MAX) return false
  if (learned.singlePost === false || learned.singlePost === 'asking') return false
  const asking = learned.singlePost === undefined
  if (asking) learned.singlePost = 'asking'
  try {
    return await post(push)
  } finally {
    // A request that failed taught nothing.
    if (asking && learned.singlePost === 'asking') learned.singlePost = undefined
  }
}

async function post(push: BlobPush): Promise<boolean> {
  const { context, descriptor, emit } = push
  const request: RegistryRequest = {
    method: 'POST',
    target: `${uploadsPath(context)}?digest=${encodeURIComponent(descriptor.digest)}`,
    headers: { ...OCTET_STREAM_HEADERS },
    body: await push.body.bytes(),
    scopes: pushScope(context),
    lane: 'control',
    op: 'push blob',
    ...push.call,
  }
  const response = await context.transport.send(request, { allow: [400, 411, 413, 415] })
  context.learned.singlePost = response.status === 201
  if (response.status === 202) {
    await openedAt(push, noted(context, await sessionLocation(context, request, response)))
    return true
  }
  await response.discard()
  if (response.status !== 201) return false
  tellStart(push, 0)
  emit({ type: 'bytes', offset: descriptor.size, wire: descriptor.size })
  await advance(push, { type: 'committed' })
  return true
}
