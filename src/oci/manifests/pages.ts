import { AppError } from '../../lib/errors.ts'
import { placeName, pullScope, type RepositoryContext } from '../request/repository-context.ts'
import type { CallOptions, RegistryRequest, RegistryResponse } from '../request/transport.ts'
import { nextLink } from './link-header.ts'

const MAX_PAGES = 1000

export interface PagedList {
  /** Path and query of the first page. */
  readonly first: string
  readonly accept: string
  readonly op: string
  /** What errors call the list: "tags". */
  readonly of: string
  /** Statuses that are handed out too; see RegistryTransport.send. */
  readonly allow?: readonly number[]
  /** Default true. */
  readonly followRedirects?: boolean
  /** Default: what it takes to pull from the repository. */
  readonly scopes?: RegistryRequest['scopes']
}

export interface ListPage {
  readonly request: RegistryRequest
  /** To be read or thrown away before the next page is asked for. */
  readonly response: RegistryResponse
  readonly isFirst: boolean
}

/**
 * The pages of a list, at most 1,000, for as long as an answer links to one that was not asked for yet. Who reads them ends
 * it at a page that brings nothing new: ACR, Artifactory and Gitea link on from the last one too. Source: oci-client.md L1.
 */
export async function* listPages(
  context: RepositoryContext,
  list: PagedList,
  options: CallOptions,
): AsyncGenerator<ListPage> {
  const asked = new Set<string>()
  let target: string | undefined = list.first
  for (let page = 0; target !== undefined && page < MAX_PAGES; page += 1) {
    asked.add(target)
    const request: RegistryRequest = {
      method: 'GET',
      target,
      named: page > 0,
      headers: { accept: list.accept },
      scopes: list.scopes ?? pullScope(context),
      lane: 'control',
      op: list.op,
      ...(list.followRedirects === undefined ? {} : { followRedirects: list.followRedirects }),
      ...options,
    }
    const response = await context.transport.send(request, list.allow ? { allow: list.allow } : {})
    yield { request, response, isFirst: page === 0 }
    const next = nextPage(context, response, list)
    target = next !== undefined && !asked.has(next) ? next : undefined
  }
}

/** Path and query of the next page, opaque; it must lie in the same registry. */
function nextPage(context: RepositoryContext, response: RegistryResponse, { of, op }: PagedList): string | undefined {
  const link = nextLink(response.header('link') ?? '')
  if (link === undefined) return undefined
  const next = URL.parse(link, response.url.href)
  if (next?.host === response.url.host) return `${next.pathname}${next.search}`
  throw new AppError(
    'REGISTRY_PROTOCOL_VIOLATION',
    `${placeName(context)} continues its list of ${of} at another host`,
    { op },
  )
}
