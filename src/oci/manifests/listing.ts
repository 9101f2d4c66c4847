import { AppError, isAppError } from '../../lib/errors.ts'
import { saidBy } from '../errors/errors.ts'
import { refuseWebPage } from '../pull/blobs.ts'
import { placeName, type RepositoryContext } from '../request/repository-context.ts'
import type { CallOptions, RegistryRequest, RegistryResponse } from '../request/transport.ts'
import { readNames } from './names-page.ts'
import { listPages } from './pages.ts'

/** A registry as a whole. */
export interface RegistryListing {
  /** host[:port] */
  readonly registry: string
  /** The name of its profile: `harbor`. */
  readonly profile: string
  /**
   * The names of its repositories, a page at a time, each once, at most 200,000. Throws REGISTRY_NOT_LISTED where it tells
   * nobody, or not this caller. Source: Docker Registry HTTP API v2 "Catalog"; oci-client.md L3.
   */
  repositories(options: CallOptions): AsyncGenerator<readonly string[]>
  /**
   * GET of path and query at the registry's own interface, as user and password; at most 4 MiB. Throws REGISTRY_NOT_LISTED
   * where there is no such interface, or not for this caller.
   */
  read(target: string, options: CallOptions): Promise<Buffer>
}

/** distribution refuses more; where its limit is set lower, that. */
const PAGE_SIZES = ['?n=1000', '?n=100', '']
const MAX_REPOSITORIES = 200_000
/** Some send all at once, whatever was asked for. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024
const MAX_READ_BYTES = 4 * 1024 * 1024
const BOUNDS = { values: MAX_REPOSITORIES, keys: 1000, depth: 32 }
/** In these ways registries say that they list nothing. */
const UNSUPPORTED: readonly number[] = [400, 404, 405, 406, 501]

export function createListing(context: RepositoryContext): RegistryListing {
  return {
    registry: context.transport.registry,
    get profile() {
      return context.profile.name
    },
    repositories: (options) => listRepositories(context, options),
    async read(target, options) {
      const request: RegistryRequest = {
        method: 'GET',
        target,
        headers: { accept: 'application/json' },
        scopes: [],
        basic: true,
        followRedirects: false,
        lane: 'control',
        op: 'list repositories',
        ...options,
      }
      return await refusedAs(context, async () => {
        const response = await context.transport.send(request, { allow: UNSUPPORTED })
        if (response.status !== 200) throw await context.transport.error(request, response)
        return await response.bytes(MAX_READ_BYTES)
      })
    },
  }
}

async function* listRepositories(
  context: RepositoryContext,
  options: CallOptions,
): AsyncGenerator<readonly string[], void> {
  const seen = new Set<string>()
  for (const [at, size] of PAGE_SIZES.entries()) {
    const list = {
      first: `/v2/_catalog${size}`,
      accept: 'application/json',
      op: 'list repositories',
      of: 'repositories',
      allow: UNSUPPORTED,
      scopes: [],
    }
    const pages = listPages(context, list, options)
    for (;;) {
      const { done, value: page } = await refusedAs(context, () => pages.next())
      if (done) return
      // A page that is too large for it.
      if (page.isFirst && page.response.status === 400 && at < PAGE_SIZES.length - 1) {
        await page.response.discard()
        break
      }
      const names = await refusedAs(context, () => readPage(context, page))
      const news = names.filter((name) => !seen.has(name))
      for (const name of news) seen.add(name)
      if (seen.size > MAX_REPOSITORIES) throw noList(context, `lists more than ${MAX_REPOSITORIES} repositories`)
      if (news.length === 0) return
      yield news
    }
  }
}

async function readPage(
  context: RepositoryContext,
  { request, response }: { request: RegistryRequest; response: RegistryResponse },
): Promise<readonly string[]> {
  await refuseWebPage(context, request, response)
  if (response.status !== 200) throw await context.transport.error(request, response)
  const refuse = (why: string): never => {
    throw noList(context, `answered with ${why}`)
  }
  const bytes = await response.bytes(MAX_PAGE_BYTES)
  return (await readNames(bytes, { field: 'repositories', bounds: BOUNDS, refuse })).names
}

/** What says no, or does not know what is asked for, as the one error that tells what to do about it. */
async function refusedAs<T>(context: RepositoryContext, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (error) {
    if (!isAppError(error) || error.upstream?.status === undefined) throw error
    const { status } = error.upstream
    if (status !== 200 && status !== 401 && status !== 403 && !UNSUPPORTED.includes(status)) throw error
    throw new AppError(
      'REGISTRY_NOT_LISTED',
      `${placeName(context)} does not list its repositories (${saidBy(error)})`,
      {
        op: 'list repositories',
        cause: error,
        upstream: error.upstream,
        hint: 'Name the repositories: layerd catalog add HOST --repository team/nemo (PUT /v1/catalog/registries/{host}). Where administrators may list them, keep such credentials: layerd login HOST.',
      },
    )
  }
}

function noList(context: RepositoryContext, why: string): AppError {
  return new AppError('REGISTRY_PROTOCOL_VIOLATION', `${placeName(context)} ${why}`, { op: 'list repositories' })
}
