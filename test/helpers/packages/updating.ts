import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, parseDigest } from '../../../src/content/digest.ts'
import { readAll } from '../../../src/content/streams.ts'
import { openSource } from '../../../src/files/opened-file.ts'
import type { ContentStore } from '../../../src/store/content-store.ts'
import type { EngineEvent } from '../../../src/transfer/events.ts'
import { apply, type ApplyOutcome, type ApplyRequest } from '../../../src/transfer/update/apply.ts'
import { openStoredUpdate } from '../../../src/transfer/update/make.ts'
import { openUpdate } from '../../../src/zarf/update-archive.ts'
import type { Cleanup } from '../cleanup.ts'
import { type MemoryRegistry, startMemoryRegistry } from '../registries/memory-registry.ts'
import { tempDir } from '../temp-dir.ts'
import { buildPackage, type PackageOptions } from './package-builder.ts'
import { publishTo } from './publishing.ts'
import { pullFrom } from './pulling.ts'

const { signal } = new AbortController()

export interface Versions {
  readonly registry: MemoryRegistry
  /** Of sample 1.0.0, and of 1.1.0, which has its layers but for data.bin. */
  readonly base: Digest
  readonly made: Digest
  /** Into a store, as a worker would. */
  pull: (store: ContentStore, version: string, owner?: string) => Promise<void>
}

/** Bytes of the two layers that both versions have. */
export const SHARED_BYTES = 300_000
/** Of what is another in each. */
export const CHANGED_BYTES = 200_000

/** Two versions of a package in a registry. */
export async function twoVersions(
  t: Cleanup,
  { base = {}, made = {} }: Partial<Record<'base' | 'made', PackageOptions>> = {},
): Promise<Versions> {
  const registry = await startMemoryRegistry()
  t.after(() => registry.close())
  const put = (version: string, seed: number, options: PackageOptions): Promise<Digest> =>
    putVersion(t, registry, {
      version,
      ...options,
      files: { 'data.bin': { bytes: CHANGED_BYTES, seed }, ...options.files },
    })
  return {
    registry,
    base: await put('1.0.0', 7, base),
    made: await put('1.1.0', 8, made),
    async pull(store, version, owner) {
      const reference = `${registry.host}/team/sample:${version}`
      await pullFrom(t, reference, { store, architecture: 'amd64', ...(owner === undefined ? {} : { owner }) })
    },
  }
}

/** Publishes one more, as team/sample. */
export async function putVersion(t: Cleanup, registry: MemoryRegistry, options: PackageOptions): Promise<Digest> {
  const built = await buildPackage(await tempDir(t), { layerBytes: SHARED_BYTES, ...options })
  const { outcome } = await publishTo(t, built.path, { registry: registry.host, namespace: 'team' })
  return parseDigest(outcome.digest)
}

/** Writes an update to a file under its own name. */
export async function updateFile(
  t: Cleanup,
  store: ContentStore,
  { digest, since }: { digest: Digest; since: Digest },
): Promise<string> {
  const archive = await openStoredUpdate(store, { digest, since, signal })
  const path = join(await tempDir(t), archive.fileName)
  await writeFile(path, await readAll(archive.open({ signal })))
  return path
}

export interface ApplyOptions extends Partial<Pick<ApplyRequest, 'owner' | 'verification'>> {
  signal?: AbortSignal
  onEvent?: (event: EngineEvent) => void
  checkOwnership?: () => Promise<void>
}

/** Applies an update as a worker would, without a queue. */
export async function applyTo(
  store: ContentStore,
  path: string,
  { signal: stop = signal, onEvent, checkOwnership = async () => undefined, ...request }: ApplyOptions = {},
): Promise<{ outcome: ApplyOutcome; events: EngineEvent[] }> {
  const events: EngineEvent[] = []
  await using update = await openUpdate(await openSource(path), { signal: stop })
  const outcome = await apply(
    { owner: 'anonymous', ...request, update },
    {
      store,
      checkOwnership,
      signal: stop,
      onEvent(event) {
        events.push(event)
        onEvent?.(event)
      },
    },
  )
  return { outcome, events }
}
