import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Redis } from 'ioredis'
import type { CataloguePackage, CatalogueTag } from '../model/catalogue.ts'
import type { Keys } from '../redis/keys.ts'
import { guarded, pipelineResults } from '../redis/redis.ts'

/** What is told of a repository, and the text that it is searched by. */
export interface ToldRepository {
  readonly repository: string
  readonly packages: readonly CataloguePackage[]
}

/** What registries were found to hold. Calls throw QUEUE_UNAVAILABLE. */
export interface CatalogueContent {
  /** Names of repositories in their order, those behind `after`. */
  names(host: string, after: string, most: number): Promise<readonly string[]>
  /** What is told of these, as it lies in Redis; '' for one that is not there. */
  told(host: string, repositories: readonly string[]): Promise<readonly string[]>
  /** All tags that are kept of a repository; none where nothing is known of it. */
  tags(host: string, repository: string): Promise<readonly CatalogueTag[]>
  /** In place of what was known. `before`: how many tags that were. */
  write(host: string, found: FoundRepository, before: number): Promise<void>
  /** They are gone. */
  remove(host: string, repositories: readonly string[]): Promise<void>
  /** Nothing is known of the registry any more. */
  clear(host: string): Promise<void>
}

export interface FoundRepository extends ToldRepository {
  readonly tags: readonly CatalogueTag[]
}

/** More than the tags of any repository are as JSON, within the limits of the catalogue. */
const MAX_TAGS_BYTES = 64 * 1024 * 1024
const AT_ONCE = 500

export function createCatalogueContent(redis: Redis, keys: Keys): CatalogueContent {
  const readTags = async (host: string, repository: string): Promise<readonly CatalogueTag[]> => {
    const packed = await guarded(() => redis.hgetBuffer(keys.catalogueOf(host, 'tags'), repository))
    return packed ? unpacked(packed) : []
  }
  return {
    names: (host, after, most) =>
      guarded(() =>
        redis.zrangebylex(keys.catalogueOf(host, 'names'), after === '' ? '-' : `(${after}`, '+', 'LIMIT', 0, most),
      ),
    async told(host, repositories) {
      if (repositories.length === 0) return []
      const found = await guarded(() => redis.hmget(keys.catalogueOf(host, 'told'), ...repositories))
      return found.map((text) => text ?? '')
    },
    tags: readTags,
    async write(host, { repository, packages, tags }, before) {
      const batch = redis
        .multi()
        .zadd(keys.catalogueOf(host, 'names'), 0, repository)
        .hset(keys.catalogueOf(host, 'told'), repository, toldText({ repository, packages }))
        .hset(keys.catalogueOf(host, 'tags'), repository, packed(tags))
        .hincrby(keys.catalogueOf(host, 'state'), 'tags', tags.length - before)
      await guarded(async () => pipelineResults(await batch.exec()))
    },
    async remove(host, repositories) {
      for (let at = 0; at < repositories.length; at += AT_ONCE) {
        const gone = repositories.slice(at, at + AT_ONCE)
        let tags = 0
        for (const repository of gone) tags += (await readTags(host, repository)).length
        const batch = redis
          .multi()
          .zrem(keys.catalogueOf(host, 'names'), ...gone)
          .hdel(keys.catalogueOf(host, 'told'), ...gone)
          .hdel(keys.catalogueOf(host, 'tags'), ...gone)
          .hincrby(keys.catalogueOf(host, 'state'), 'tags', -tags)
        await guarded(async () => pipelineResults(await batch.exec()))
      }
    },
    clear: (host) =>
      guarded(async () => {
        const parts = ['state', 'names', 'told', 'tags', 'waiting'] as const
        await redis.unlink(...parts.map((part) => keys.catalogueOf(host, part)))
      }),
  }
}

/** A search reads the first line alone, and parses what it wants. */
function toldText({ repository, packages }: ToldRepository): string {
  const words = [repository, ...packages.flatMap(({ name, kind, description }) => [name, kind, description ?? ''])]
  return `${[...new Set(words)].join(' ').replaceAll('\n', ' ').toLowerCase()}\n${JSON.stringify(packages)}`
}

/** The two halves of what lies in Redis. */
export function parseTold(text: string): { words: string; packages: () => readonly CataloguePackage[] } {
  const end = text.indexOf('\n')
  return {
    words: text.slice(0, Math.max(0, end)),
    packages: () => (end === -1 ? [] : (JSON.parse(text.slice(end + 1)) as CataloguePackage[])),
  }
}

/** Tags of a repository are much alike: this is a fourth of their JSON. */
function packed(tags: readonly CatalogueTag[]): Buffer {
  return zstdCompressSync(JSON.stringify(tags))
}

function unpacked(bytes: Buffer): readonly CatalogueTag[] {
  return JSON.parse(zstdDecompressSync(bytes, { maxOutputLength: MAX_TAGS_BYTES }).toString()) as CatalogueTag[]
}
