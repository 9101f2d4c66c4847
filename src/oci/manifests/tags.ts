import { AppError } from '../../lib/errors.ts'
import { nextTurn } from '../../lib/loop/breathe.ts'
import { placeName, type RepositoryContext } from '../request/repository-context.ts'
import type { CallOptions, RegistryRequest, RegistryResponse } from '../request/transport.ts'
import { refuseWebPage } from '../pull/blobs.ts'
import { type NamesPage, readNames } from './names-page.ts'
import { listPages } from './pages.ts'

/** ECR refuses more. */
const PAGE_SIZE = 1000
const MAX_BYTES = 32 * 1024 * 1024
/** distribution 2.8 sends all tags at once, whatever was asked for. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024
const MAX_TAGS = 200_000
const BOUNDS = { values: MAX_TAGS, keys: 1000, depth: 32 }

/**
 * All tags, in the registry's order, each once; none when the repository is unknown, which some registries also say of
 * one without tags. Source: OCI distribution-spec v1.1.1 "Listing Tags".
 */
export async function listTags(context: RepositoryContext, options: CallOptions): Promise<readonly string[]> {
  const tags = new Set<string>()
  let left = MAX_BYTES
  const list = {
    first: `/v2/${context.repository}/tags/list?n=${PAGE_SIZE}`,
    accept: 'application/json',
    op: 'list tags',
    of: 'tags',
  }
  for await (const { request, response, isFirst } of listPages(context, list, options)) {
    if (response.status === 404 && isFirst) return noTags(context, request, response)
    const { names, bytes } = await readPage(context, request, response, Math.min(left, MAX_PAGE_BYTES))
    left -= bytes
    await nextTurn()
    const before = tags.size
    for (const name of names) tags.add(name)
    if (tags.size > MAX_TAGS) throw noList(context, `lists more than ${MAX_TAGS} tags`)
    if (tags.size === before) break
  }
  await nextTurn()
  return [...tags]
}

async function noTags(
  context: RepositoryContext,
  request: RegistryRequest,
  response: RegistryResponse,
): Promise<readonly string[]> {
  await refuseWebPage(context, request, response)
  await response.discard()
  return []
}

async function readPage(
  context: RepositoryContext,
  request: RegistryRequest,
  response: RegistryResponse,
  limit: number,
): Promise<NamesPage> {
  await refuseWebPage(context, request, response)
  if (response.status !== 200) throw await context.transport.error(request, response, 'expected a list of tags')
  const refuse = (why: string): never => {
    throw noList(context, `answered with ${why}`)
  }
  return await readNames(await response.bytes(limit), { field: 'tags', bounds: BOUNDS, refuse })
}

function noList(context: RepositoryContext, why: string): AppError {
  return new AppError('REGISTRY_PROTOCOL_VIOLATION', `${placeName(context)} ${why}`, { op: 'list tags' })
}
