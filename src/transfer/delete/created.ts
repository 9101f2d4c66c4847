import type { Descriptor } from '../../content/descriptor.ts'
import { type ImageIndex, type ImageManifest } from '../../content/manifest.ts'
import { forEachConcurrent } from '../../lib/concurrent.ts'
import { isAppError } from '../../lib/errors.ts'
import type { Repository } from '../../oci/registry.ts'
import { isManifest } from '../copy/tree.ts'
import { packageSource } from '../package-source.ts'
import type { Graph } from './graph.ts'
import type { Named } from './survey.ts'

/** Source: OCI image-spec v1.1.1 annotations.md; zarf writes the package's build time there. */
const CREATED = 'org.opencontainers.image.created'
const IMAGE_CONFIGS = /^application\/vnd\.(?:oci|docker\.container)\.image(?:\.config)?\.v1\+json$/
const MAX_CONFIG_BYTES = 256 * 1024
const LOOKED_AT_ONCE = 4
/** Of an index; more say nothing else. */
const MOST_ENTRIES = 16
/** Go's zero time, and that of reproducible builds, say nothing. */
const LEAST = Date.UTC(1990)

/**
 * When what lies under each tag was made, ms since the epoch, by tag; without those of which nothing says so: the annotation, of an
 * index the newest of what it names, of an image what its config says. When it was pushed no registry tells by the OCI API.
 */
export async function createdOf(
  tags: ReadonlyMap<string, Named>,
  { repository, graph, signal }: { repository: Repository; graph: Graph; signal: AbortSignal },
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  const reader = packageSource(repository, signal)
  const ofConfig = async (config: Descriptor | undefined): Promise<number | undefined> => {
    if (!config || !IMAGE_CONFIGS.test(config.mediaType) || config.size > MAX_CONFIG_BYTES) return undefined
    try {
      return timeOf((JSON.parse((await reader.read(config)).toString('utf8')) as { created?: unknown }).created)
    } catch (error) {
      if (isAppError(error) && error.retry !== 'permanent') throw error
      return undefined
    }
  }
  const ofManifest = async (parsed: ImageManifest | ImageIndex, depth: number): Promise<number | undefined> => {
    const own = timeOf(parsed.annotations?.[CREATED])
    if (own !== undefined) return own
    if (parsed.kind === 'manifest') return await ofConfig(parsed.config)
    if (depth > 1) return undefined
    const times: number[] = []
    for (const { digest } of parsed.manifests.filter(isManifest).slice(0, MOST_ENTRIES)) {
      const child = await graph.read(digest)
      const time = child && (await ofManifest(child.parsed, depth + 1))
      if (time !== undefined) times.push(time)
    }
    return times.length === 0 ? undefined : Math.max(...times)
  }
  await forEachConcurrent(tags, { limit: LOOKED_AT_ONCE, signal }, async ([tag, { digest }]) => {
    const there = await graph.read(digest)
    const time = there && (await ofManifest(there.parsed, 0))
    if (time !== undefined) found.set(tag, time)
  })
  return found
}

function timeOf(text: unknown): number | undefined {
  const time = typeof text === 'string' && text.length <= 64 ? Date.parse(text) : Number.NaN
  return Number.isFinite(time) && time > LEAST ? time : undefined
}
